-- Whether a run is paused or waits for its place (which its steps at the end do without), so that what becomes free
-- stays pending. The lock, taken only then, keeps a resume, or who gives it the place, from overlooking what is written
-- because of the answer.
CREATE OR REPLACE FUNCTION interlock_quiet(p_run text, p_at_end boolean) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT state = 'paused' OR NOT (admitted OR p_at_end) FROM workflows_run WHERE id = p_run) THEN
        RETURN (SELECT state = 'paused' OR NOT (admitted OR p_at_end) FROM workflows_run WHERE id = p_run FOR SHARE);
    END IF;
    RETURN false;
END $$;

-- A person lets a step whose outcome is unknown run again. Returns the state it has then, or NULL: it is not unknown any
-- more, or its run does not go on. The share lock keeps a resume, or who gives the run its place, from overlooking it.
CREATE OR REPLACE FUNCTION interlock_reopen(p_step bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r workflows_run;
    s workflows_steprun;
BEGIN
    SELECT x.* INTO r FROM workflows_run x JOIN workflows_steprun y ON y.run_id = x.id
     WHERE y.id = p_step AND x.ended_at IS NULL AND (x.stopping = '' OR y.at_end) FOR SHARE OF x;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE workflows_steprun
       SET state = CASE WHEN r.state = 'paused' OR NOT (r.admitted OR at_end) THEN 'pending' ELSE 'ready' END,
           reason = '', error = NULL, waiting_on = 0, ready_at = clock_timestamp(), rung_at = NULL, rings = 0,
           events = events + 1
     WHERE id = p_step AND state = 'unknown' AND NOT superseded
    RETURNING * INTO s;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO workflows_journalevent (run_id, type, at, step, epoch, n, data)
    VALUES (s.run_id, 'step.reopened', clock_timestamp(), s.path, s.epoch, s.events,
            jsonb_build_object('state', s.state));
    RETURN s.state;
END $$;

-- What a step waited for has come: it is ready to take it in. Returns the step run, or nothing when it does not wait
-- for that any more. `p_note` goes to the journal.
CREATE OR REPLACE FUNCTION interlock_answer(p_run text, p_path text, p_reason text, p_answer bytea, p_note text)
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    s workflows_steprun;
    v_quiet boolean;
BEGIN
    v_quiet := interlock_quiet(p_run, coalesce((
        SELECT at_end FROM workflows_steprun WHERE run_id = p_run AND path = p_path AND NOT superseded), false));
    UPDATE workflows_steprun
       SET state = CASE WHEN v_quiet THEN 'pending' ELSE 'ready' END, reason = '', wake_at = NULL, awaits = NULL,
           waiting_on = 0, answer_hash = p_answer, ready_at = clock_timestamp(), rung_at = NULL, rings = 0,
           events = events + 1
     WHERE run_id = p_run AND path = p_path AND NOT superseded AND state = 'waiting' AND reason = p_reason
    RETURNING * INTO s;
    IF NOT FOUND THEN
        RETURN '{}';
    END IF;
    INSERT INTO workflows_journalevent (run_id, type, at, step, epoch, attempt, n, data)
    VALUES (p_run, 'step.answered', clock_timestamp(), s.path, s.epoch, s.attempts_made, s.events,
            jsonb_strip_nulls(jsonb_build_object('by', p_reason, 'answer', encode(p_answer, 'hex'),
                                                 'note', p_note)));
    RETURN CASE WHEN v_quiet THEN '{}' ELSE ARRAY[s.id] END;
END $$;

-- A step that waits has committed: look whether what it waits for is there already. Called under a share lock on
-- the run, which a signal takes for itself: neither can overlook the other.
CREATE OR REPLACE FUNCTION interlock_park(s workflows_steprun, c jsonb) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    r workflows_run;
    v_signal workflows_signal;
    v_started jsonb;
    v_approval bigint;
BEGIN
    SELECT * INTO r FROM workflows_run WHERE id = s.run_id;
    IF s.awaits IS NOT NULL THEN
        SELECT * INTO v_signal FROM workflows_signal
         WHERE run_id = s.run_id AND name = s.awaits AND taken_by IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED;
        IF FOUND THEN
            UPDATE workflows_signal SET taken_by = s.path WHERE id = v_signal.id;
            RETURN interlock_answer(s.run_id, s.path, s.reason, v_signal.payload_hash, v_signal.sent_by);
        END IF;
    END IF;
    IF c -> 'approval' <> 'null'::jsonb THEN
        INSERT INTO workflows_approval (run_id, step_run_id, path, workflow, environment_id, "group", title, details,
                                        fields, requested_at, expires_at, outcome, decided_by, comment)
        VALUES (s.run_id, s.id, s.path, r.workflow, r.environment_id, c #>> '{approval,group}',
                c #>> '{approval,title}', c #>> '{approval,details}', nullif(c #> '{approval,fields}', 'null'),
                clock_timestamp(), s.wake_at, '', '', '')
        RETURNING id INTO v_approval;
        PERFORM interlock_announce('approval.requested', v_approval::text, jsonb_build_object(
            'approval', v_approval, 'run', s.run_id, 'workflow', r.workflow, 'environment', r.environment_id,
            'step', s.path, 'title', c #>> '{approval,title}', 'group', c #>> '{approval,group}',
            'expires_at', s.wake_at));
    END IF;
    IF c -> 'child' <> 'null'::jsonb THEN
        v_started := interlock_start(c -> 'child', '{}', '{}', '{}', '{}');
        RETURN ARRAY(SELECT jsonb_array_elements_text(v_started -> 'ready')::bigint);
    END IF;
    IF s.reason = 'child' THEN  -- it waits on for a child that it had before, which may have ended meanwhile
        PERFORM 1 FROM workflows_run
          WHERE parent_id = s.run_id AND parent_path = s.path AND ended_at IS NULL FOR SHARE;
        IF NOT FOUND THEN
            RETURN interlock_answer(s.run_id, s.path, 'child', NULL, NULL);
        END IF;
    END IF;
    RETURN '{}';
END $$;

-- Send a signal to a run: a step that waits for it takes it at once, else it is kept.
-- Returns {state: the run's, ready: [step], taken_by: path or null}; state null: the run has ended.
CREATE OR REPLACE FUNCTION interlock_signal(p_run text, p_name text, p_payload text, p_by text, p_hashes bytea[],
                                            p_sizes integer[], p_compressed boolean[], p_bodies bytea[])
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    r workflows_run;
    v_path text;
    v_ready bigint[] := '{}';
BEGIN
    UPDATE workflows_run SET events = events + 1
     WHERE id = p_run AND state IN ('queued', 'running', 'waiting', 'paused')
       AND (stopping = '' OR closing = 'running')  -- its steps at the end may wait for one too
    RETURNING * INTO r;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('state', NULL);
    END IF;
    PERFORM interlock_keep(p_hashes, p_sizes, p_compressed, p_bodies);
    SELECT path INTO v_path FROM workflows_steprun
     WHERE run_id = p_run AND NOT superseded AND state = 'waiting' AND reason = 'signal' AND awaits = p_name
     ORDER BY id LIMIT 1;
    IF v_path IS NOT NULL THEN
        v_ready := interlock_answer(p_run, v_path, 'signal', decode(p_payload, 'hex'), p_by);
    END IF;
    INSERT INTO workflows_journalevent (run_id, type, at, n, data)
    VALUES (p_run, 'run.signalled', clock_timestamp(), r.events,
            jsonb_build_object('name', p_name, 'payload', p_payload, 'by', p_by, 'taken_by', v_path));
    INSERT INTO workflows_signal (run_id, name, payload_hash, sent_by, sent_at, taken_by)
    VALUES (p_run, p_name, decode(p_payload, 'hex'), p_by, clock_timestamp(), v_path);
    RETURN jsonb_build_object('state', r.state, 'ready', to_jsonb(v_ready), 'taken_by', v_path);
END $$;

-- Decide an approval, once. Returns {decided, ready, outcome, by}: `decided` is false when it was closed before.
CREATE OR REPLACE FUNCTION interlock_decide(p_approval bigint, p_outcome text, p_by text, p_comment text,
                                            p_answer text, p_hashes bytea[], p_sizes integer[],
                                            p_compressed boolean[], p_bodies bytea[])
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    a workflows_approval;
    v_ready bigint[];
BEGIN
    SELECT * INTO a FROM workflows_approval WHERE id = p_approval FOR UPDATE;
    IF a.closed_at IS NULL THEN
        PERFORM interlock_keep(p_hashes, p_sizes, p_compressed, p_bodies);
        v_ready := interlock_answer(a.run_id, a.path, 'approval', decode(p_answer, 'hex'), p_by);
        -- A paused run's step is answered too, but not ready: the row tells whether it was.
        IF cardinality(v_ready) > 0 OR EXISTS (
            SELECT 1 FROM workflows_steprun
             WHERE id = a.step_run_id AND state = 'pending' AND answer_hash = decode(p_answer, 'hex')) THEN
            UPDATE workflows_approval
               SET closed_at = clock_timestamp(), outcome = p_outcome, decided_by = p_by, comment = p_comment
             WHERE id = p_approval;
            RETURN jsonb_build_object('decided', true, 'ready', to_jsonb(v_ready));
        END IF;
        SELECT * INTO a FROM workflows_approval WHERE id = p_approval;
    END IF;
    RETURN jsonb_build_object('decided', false, 'ready', '[]'::jsonb, 'outcome', a.outcome, 'by', a.decided_by);
END $$;

-- Pause a run: running attempts finish, nothing new starts. Returns the state it had, or NULL.
CREATE OR REPLACE FUNCTION interlock_pause(p_run text, p_by text, p_reason text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_state text;
    v_events integer;
BEGIN
    SELECT state INTO v_state FROM workflows_run
     WHERE id = p_run AND state IN ('queued', 'running', 'waiting') AND stopping = '' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE workflows_run SET state = 'paused', events = events + 1 WHERE id = p_run RETURNING events INTO v_events;
    INSERT INTO workflows_journalevent (run_id, type, at, n, data)
    VALUES (p_run, 'run.paused', clock_timestamp(), v_events, jsonb_build_object('by', p_by, 'reason', p_reason));
    UPDATE workflows_steprun SET state = 'pending', waiting_on = 0
     WHERE run_id = p_run AND NOT superseded AND state = 'ready';
    RETURN v_state;
END $$;

-- Lead a paused run on. Returns the step runs that became ready, or NULL when it is not paused.
CREATE OR REPLACE FUNCTION interlock_resume(p_run text, p_by text, p_reason text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    r workflows_run;
    v_ready jsonb;
BEGIN
    UPDATE workflows_run
       SET state = CASE WHEN started_at IS NULL THEN 'queued' ELSE 'running' END, events = events + 1
     WHERE id = p_run AND state = 'paused' AND stopping = ''
    RETURNING * INTO r;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO workflows_journalevent (run_id, type, at, n, data)
    VALUES (p_run, 'run.resumed', clock_timestamp(), r.events, jsonb_build_object('by', p_by, 'reason', p_reason));
    IF NOT r.admitted THEN
        RETURN '[]';
    END IF;
    v_ready := to_jsonb(interlock_let_go(p_run));
    RETURN v_ready;
END $$;

-- What of a run waits on nothing more becomes ready.
CREATE OR REPLACE FUNCTION interlock_let_go(p_run text) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_ready bigint[];
BEGIN
    WITH freed AS (
        UPDATE workflows_steprun SET state = 'ready', ready_at = clock_timestamp(), rung_at = NULL, rings = 0
         WHERE run_id = p_run AND NOT superseded AND state = 'pending' AND waiting_on = 0 AND NOT held
        RETURNING id)
    SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO v_ready FROM freed;
    RETURN v_ready;
END $$;

-- Places under a concurrency key are rows: the admitted runs that have not ended. Whoever changes them holds this
-- lock to the end of its transaction.
CREATE OR REPLACE FUNCTION interlock_lock_key(p_workflow text, p_environment text, p_key text)
RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended(p_environment || '/' || p_workflow || '/' || p_key, 0));
$$;

CREATE OR REPLACE FUNCTION interlock_places_taken(p_workflow text, p_environment text, p_key text)
RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT count(*) FROM workflows_run
     WHERE workflow = p_workflow AND environment_id = p_environment AND concurrency_key = p_key
       AND ended_at IS NULL AND admitted;
$$;

-- Let the oldest waiting runs take the places that are free. Returns the step runs that became ready.
CREATE OR REPLACE FUNCTION interlock_admit(p_workflow text, p_environment text, p_key text)
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    r record;
    v_ready bigint[] := '{}';
BEGIN
    PERFORM interlock_lock_key(p_workflow, p_environment, p_key);
    LOOP
        SELECT id, state, concurrency_limit INTO r FROM workflows_run
         WHERE workflow = p_workflow AND environment_id = p_environment AND concurrency_key = p_key
           AND ended_at IS NULL AND NOT admitted AND stopping = ''
         ORDER BY created_at, id LIMIT 1 FOR UPDATE;
        EXIT WHEN NOT FOUND
             OR interlock_places_taken(p_workflow, p_environment, p_key) >= r.concurrency_limit;
        UPDATE workflows_run SET admitted = true WHERE id = r.id;
        IF r.state <> 'paused' THEN
            v_ready := v_ready || interlock_let_go(r.id);
        END IF;
    END LOOP;
    RETURN v_ready;
END $$;

-- A run that goes on after its end needs a place again. Returns whether it has one; else it waits for it.
CREATE OR REPLACE FUNCTION interlock_take_place(p_run text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    r workflows_run;
    v_admitted boolean;
BEGIN
    SELECT * INTO r FROM workflows_run WHERE id = p_run;
    IF r.concurrency_key IS NULL THEN
        RETURN true;
    END IF;
    PERFORM interlock_lock_key(r.workflow, r.environment_id, r.concurrency_key);
    UPDATE workflows_run SET admitted = false WHERE id = p_run;
    v_admitted := interlock_places_taken(r.workflow, r.environment_id, r.concurrency_key) < r.concurrency_limit;
    UPDATE workflows_run SET admitted = v_admitted WHERE id = p_run;
    RETURN v_admitted;
END $$;
