-- A new run and its first step runs. Returns {created: bool, created_at, deadline_at, ready: [step]}; an idempotency key that
-- exists already gives the run that it named and creates nothing.
CREATE FUNCTION interlock_start(
    c jsonb, p_hashes bytea[], p_sizes integer[], p_compressed boolean[], p_bodies bytea[])
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_ready jsonb;
    v_now timestamptz := clock_timestamp();
    v_deadline timestamptz := v_now + make_interval(secs => (c ->> 'deadline_s')::float8);
BEGIN
    INSERT INTO workflows_run
        (id, workflow, environment_id, release_id, state, stopping, title, trigger, created_by, session, tags,
         priority, pins, variables, input_hash, idempotency_key, request_hash, parent_id, events, created_at,
         deadline_at)
    VALUES (c ->> 'id', c ->> 'workflow', c ->> 'environment', (c ->> 'release')::bigint, 'queued', '',
            c ->> 'title', c ->> 'trigger', c ->> 'created_by', c ->> 'session',
            ARRAY(SELECT jsonb_array_elements_text(c -> 'tags')), (c ->> 'priority')::smallint, c -> 'pins',
            c -> 'variables', decode(c ->> 'input', 'hex'), c ->> 'idempotency_key',
            decode(c ->> 'request', 'hex'), c ->> 'parent', 1, v_now, v_deadline)
    ON CONFLICT (workflow, environment_id, idempotency_key) DO NOTHING;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('created', false);
    END IF;
    PERFORM interlock_keep(p_hashes, p_sizes, p_compressed, p_bodies);
    INSERT INTO workflows_journalevent (run_id, type, at, n, data)
    VALUES (c ->> 'id', 'run.created', clock_timestamp(), 1,
            jsonb_build_object('input', c -> 'input', 'release', c -> 'release', 'pins', c -> 'pins',
                               'variables', c -> 'variables', 'by', c -> 'created_by'));
    WITH added AS (
        INSERT INTO workflows_steprun
            (run_id, path, step_id, kind, epoch, superseded, ordinal, state, reason, waiting_on, held, settling,
             alone, priority, ready_at, rings, sent, attempts_made, failures, losses, events)
        SELECT c ->> 'id', x.path, x.step_id, x.kind, 1, false, x.ordinal,
               CASE WHEN x.waiting_on = 0 THEN 'ready' ELSE 'pending' END, '', x.waiting_on, false, false, false,
               (c ->> 'priority')::smallint, CASE WHEN x.waiting_on = 0 THEN clock_timestamp() END,
               0, false, 0, 0, 0, 0
          FROM jsonb_to_recordset(c -> 'steps') AS x(
               path text, step_id text, kind text, ordinal integer, waiting_on integer)
        RETURNING id, state)
    SELECT coalesce(jsonb_agg(id) FILTER (WHERE state = 'ready'), '[]') INTO v_ready FROM added;
    RETURN jsonb_build_object('created', true, 'created_at', v_now, 'deadline_at', v_deadline, 'ready', v_ready);
END $$;

-- Stop a run for good: what has not started is cancelled now, running attempts are asked to stop and finish.
-- Returns the state that the run has then, or NULL when it had ended already.
CREATE FUNCTION interlock_cancel(p_run text, p_by text, p_reason text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r workflows_run;
BEGIN
    UPDATE workflows_run SET stopping = 'cancelled', events = events + 1
     WHERE id = p_run AND state IN ('queued', 'running', 'waiting', 'paused') AND stopping <> 'cancelled'
    RETURNING * INTO r;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO workflows_journalevent (run_id, type, at, n, data)
    VALUES (p_run, 'run.cancel_requested', clock_timestamp(), r.events,
            jsonb_build_object('by', p_by, 'reason', p_reason));
    PERFORM interlock_cancel_open(p_run, '', NULL);
    IF NOT EXISTS (SELECT 1 FROM workflows_steprun WHERE run_id = p_run AND state = 'running')
       AND interlock_end(p_run, 'cancelled', 'cancelled', NULL) THEN
        RETURN 'cancelled';
    END IF;
    RETURN r.state;
END $$;
