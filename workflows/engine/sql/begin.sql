-- What a worker needs to know of an attempt that it holds.
CREATE OR REPLACE FUNCTION interlock_claimed(s workflows_steprun, r workflows_run, p_attempt bigint)
RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'step', s.id, 'run', s.run_id, 'path', s.path, 'step_id', s.step_id, 'kind', s.kind, 'epoch', s.epoch,
        'lane', s.lane, 'answer', encode(s.answer_hash, 'hex'),
        'parent', s.parent_id, 'item', s.item, 'item_hash', encode(s.item_hash, 'hex'),
        'attempt', p_attempt, 'number', s.attempts_made, 'failures', s.failures, 'losses', s.losses,
        'lease', s.lease, 'settling', s.settling, 'alone', s.alone, 'poison', s.reason = 'poison',
        'input_hash', encode(s.input_hash, 'hex'), 'failing', s.error,
        'release', r.release_id, 'workflow', r.workflow, 'environment', r.environment_id,
        'run_input', encode(r.input_hash, 'hex'), 'pins', r.pins, 'variables', r.variables,
        'session', r.session, 'run_error', r.error, 'priority', s.priority, 'run_started_at', r.started_at,
        'deadline_at', r.deadline_at, 'tree_path', coalesce(r.tree_path, r.id), 'repeats', r.repeats,
        'fork', r.fork, 'sealed', r.sealed
    );
$$;

-- The claim behind a lease token: after a connection broke in the middle of a commit.
CREATE OR REPLACE FUNCTION interlock_held(p_lease uuid) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT interlock_claimed(s, r, a.id)
      FROM workflows_steprun s
      JOIN workflows_run r ON r.id = s.run_id
      JOIN workflows_attempt a ON a.step_run_id = s.id AND a.number = s.attempts_made
     WHERE s.state = 'running' AND s.lease = p_lease;
$$;

-- The last attempt of a step run, whether it is held or not: for settling it in its place.
CREATE OR REPLACE FUNCTION interlock_claim_of(p_step bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT interlock_claimed(s, r, a.id) || jsonb_build_object('lease', a.lease)
      FROM workflows_steprun s
      JOIN workflows_run r ON r.id = s.run_id
      JOIN workflows_attempt a ON a.step_run_id = s.id AND a.number = s.attempts_made
     WHERE s.id = p_step;
$$;

-- Start an attempt on one step run: pending or ready → running, with a lease by the database's clock.
-- Returns everything that the worker needs to go on, or NULL when somebody else was faster or the run does not go on.
CREATE OR REPLACE FUNCTION interlock_begin(p_step bigint, p_worker text, p_lease uuid, p_lease_s float8)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    s workflows_steprun;
    r workflows_run;
    v_attempt bigint;
    v_from text;
BEGIN
    SELECT x.* INTO r FROM workflows_run x JOIN workflows_steprun y ON y.run_id = x.id
     WHERE y.id = p_step AND x.state IN ('queued', 'running', 'waiting') AND (y.at_end OR (x.stopping = '' AND x.admitted));
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE workflows_steprun
       SET state = 'running', waiting_on = 0, held = false, sent = false, wake_at = NULL,
           reason = CASE WHEN reason = 'poison' THEN reason ELSE '' END,
           lease = p_lease, lease_until = clock_timestamp() + make_interval(secs => p_lease_s),
           attempts_made = attempts_made + 1, events = events + 1,
           started_at = coalesce(started_at, clock_timestamp()),
           ready_at = coalesce(ready_at, clock_timestamp()), rung_at = NULL, rings = 0
     WHERE id = p_step AND state IN ('pending', 'ready')
    RETURNING * INTO s;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    IF r.state IN ('queued', 'waiting') THEN
        v_from := r.state;
        UPDATE workflows_run
           SET state = 'running', started_at = coalesce(started_at, clock_timestamp()), events = events + 1
         WHERE id = s.run_id AND state IN ('queued', 'waiting')
        RETURNING * INTO r;
        IF FOUND THEN
            INSERT INTO workflows_journalevent (run_id, type, at, n, data)
            VALUES (r.id, CASE v_from WHEN 'queued' THEN 'run.started' ELSE 'run.went_on' END,
                    clock_timestamp(), r.events, '{}');
        ELSE
            SELECT * INTO r FROM workflows_run WHERE id = s.run_id;
        END IF;
    END IF;

    INSERT INTO workflows_attempt (step_run_id, run_id, number, state, worker, lease, alone, started_at)
    VALUES (s.id, s.run_id, s.attempts_made, 'running', p_worker, p_lease, s.alone, clock_timestamp())
    RETURNING id INTO v_attempt;
    INSERT INTO workflows_journalevent (run_id, type, at, step, epoch, attempt, n, data)
    VALUES (s.run_id, 'attempt.started', clock_timestamp(), s.path, s.epoch, s.attempts_made, s.events,
            jsonb_build_object('worker', p_worker));

    RETURN interlock_claimed(s, r, v_attempt);
END $$;
