-- A new run, its secrets (of a root that was given some: {mask: ciphertext}) and its first step runs. Returns
-- {created: bool, created_at, deadline_at, ready: [step]}; an idempotency key that exists already gives the run that it
-- named and creates nothing.
CREATE OR REPLACE FUNCTION interlock_start(
    c jsonb, p_hashes bytea[], p_sizes integer[], p_compressed boolean[], p_bodies bytea[])
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_ready jsonb;
    v_now timestamptz := clock_timestamp();
    v_deadline timestamptz := least(v_now + make_interval(secs => (c ->> 'deadline_s')::float8),
                                    (c ->> 'deadline_at')::timestamptz);
    v_key text := c ->> 'concurrency_key';
    v_admitted boolean := true;
BEGIN
    IF v_key IS NOT NULL THEN
        PERFORM interlock_lock_key(c ->> 'workflow', c ->> 'environment', v_key);
        v_admitted := interlock_places_taken(c ->> 'workflow', c ->> 'environment', v_key)
                      < (c ->> 'concurrency_limit')::integer;
    END IF;
    INSERT INTO workflows_run
        (id, workflow, environment_id, release_id, state, stopping, title, trigger, created_by, session, tags,
         priority, pins, variables, input_hash, idempotency_key, request_hash, parent_id, parent_path, events,
         created_at, deadline_at, closing, concurrency_key, concurrency_limit, admitted, tree_path, forked_from_id,
         fork, sealed, rollout_id, arm, sticky_hash)
    VALUES (c ->> 'id', c ->> 'workflow', c ->> 'environment', (c ->> 'release')::bigint, 'queued', '',
            c ->> 'title', c ->> 'trigger', c ->> 'created_by', c ->> 'session',
            ARRAY(SELECT jsonb_array_elements_text(c -> 'tags')), (c ->> 'priority')::smallint, c -> 'pins',
            c -> 'variables', decode(c ->> 'input', 'hex'), c ->> 'idempotency_key',
            decode(c ->> 'request', 'hex'), c ->> 'parent', c ->> 'parent_path', 1, v_now, v_deadline,
            coalesce(c ->> 'closing', ''), v_key, (c ->> 'concurrency_limit')::integer, v_admitted, c ->> 'tree_path',
            c #>> '{fork,of}', nullif(c -> 'fork', 'null'), coalesce((c ->> 'sealed')::boolean, false),
            (c ->> 'rollout')::bigint, coalesce(c ->> 'arm', ''), (c ->> 'sticky_hash')::bigint)
    ON CONFLICT (workflow, environment_id, idempotency_key) DO NOTHING;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('created', false);
    END IF;
    PERFORM interlock_keep(p_hashes, p_sizes, p_compressed, p_bodies);
    IF c ? 'secrets' THEN
        INSERT INTO workflows_secretinput (run_id, mask, ciphertext)
        SELECT c ->> 'id', x.key, convert_to(x.value, 'UTF8') FROM jsonb_each_text(c -> 'secrets') x;
    END IF;
    INSERT INTO workflows_journalevent (run_id, type, at, n, data)
    VALUES (c ->> 'id', 'run.created', clock_timestamp(), 1,
            jsonb_strip_nulls(jsonb_build_object('input', c -> 'input', 'release', c -> 'release', 'pins', c -> 'pins',
                               'variables', c -> 'variables', 'by', c -> 'created_by', 'engine', c -> 'engine',
                               'parent', c -> 'parent', 'parent_path', c -> 'parent_path', 'fork', c -> 'fork',
                               'rollout', c -> 'rollout', 'arm', c -> 'arm')));
    WITH added AS (
        INSERT INTO workflows_steprun
            (run_id, path, step_id, kind, epoch, superseded, ordinal, lane, state, reason, waiting_on, held, settling,
             at_end, alone, priority, ready_at, rings, sent, attempts_made, failures, losses, events)
        SELECT c ->> 'id', x.path, x.step_id, x.kind, 1, false, x.ordinal, (c ->> 'environment') || '/' || (c ->> 'workflow'),
               CASE WHEN x.waiting_on = 0 AND v_admitted THEN 'ready' ELSE 'pending' END, '', x.waiting_on, false,
               false, false, false, (c ->> 'priority')::smallint, CASE WHEN x.waiting_on = 0 THEN clock_timestamp() END,
               0, false, 0, 0, 0, 0
          FROM jsonb_to_recordset(c -> 'steps') AS x(
               path text, step_id text, kind text, ordinal integer, waiting_on integer)
        RETURNING id, state)
    SELECT coalesce(jsonb_agg(id) FILTER (WHERE state = 'ready'), '[]') INTO v_ready FROM added;
    RETURN jsonb_build_object('created', true, 'created_at', v_now, 'deadline_at', v_deadline, 'ready', v_ready);
END $$;

-- Stop a run for good: what has not started is cancelled now, running attempts are asked to stop and finish, child
-- runs are cancelled too. Asked once more, its steps at the end are cancelled as well.
-- Returns {state: what it has then, ready: what became ready by it}, or NULL when it had ended already.
CREATE OR REPLACE FUNCTION interlock_cancel_run(p_run text, p_by text, p_reason text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    r workflows_run;
    v_ready bigint[];
BEGIN
    UPDATE workflows_run SET stopping = 'cancelled', events = events + 1,
           closing = CASE WHEN started_at IS NULL THEN '' ELSE closing END
     WHERE id = p_run AND state IN ('queued', 'running', 'waiting', 'paused')
       AND (stopping <> 'cancelled' OR closing = 'running')
    RETURNING * INTO r;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO workflows_journalevent (run_id, type, at, n, data)
    VALUES (p_run, 'run.cancel_requested', clock_timestamp(), r.events,
            jsonb_build_object('by', p_by, 'reason', p_reason));
    PERFORM interlock_cancel_open(p_run, '', NULL, true);
    IF NOT EXISTS (SELECT 1 FROM workflows_steprun WHERE run_id = p_run AND state = 'running') THEN
        v_ready := interlock_end_run(p_run, 'cancelled', 'cancelled', NULL);
    END IF;
    RETURN jsonb_build_object('state', CASE WHEN v_ready IS NULL THEN r.state ELSE 'cancelled' END,
                              'ready', to_jsonb(coalesce(v_ready, '{}')));
END $$;
