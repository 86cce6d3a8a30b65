-- The end of a run: state, totals and its journal entry, once. `p_stopping` is what the run must have been heading
-- for: '' for success. Returns NULL when it did not move; else the step runs that became ready by it: the one of its
-- parent that waited, and the first steps of runs that waited for its place.
-- A run that still has steps to run at its end (`closing`) does not end here.
CREATE OR REPLACE FUNCTION interlock_end_run(p_run text, p_state text, p_stopping text, p_output bytea)
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    r workflows_run;
    v_cost numeric;
    v_tokens jsonb;
    v_ready bigint[] := '{}';
BEGIN
    SELECT sum(cost_usd),
           CASE WHEN count(tokens) = 0 THEN NULL ELSE jsonb_build_object(
               'input', sum((tokens ->> 'input')::bigint), 'cached', sum((tokens ->> 'cached')::bigint),
               'output', sum((tokens ->> 'output')::bigint), 'reasoning', sum((tokens ->> 'reasoning')::bigint)) END
      INTO v_cost, v_tokens
      FROM workflows_steprun WHERE run_id = p_run;
    UPDATE workflows_run
       SET state = p_state, stopping = '', output_hash = p_output, ended_at = clock_timestamp(),
           events = events + 1, cost_usd = v_cost, tokens = v_tokens
     WHERE id = p_run AND stopping = p_stopping AND closing <> 'pending'
       AND (state IN ('queued', 'running', 'waiting') OR (state = 'paused' AND p_state <> 'succeeded'))
    RETURNING * INTO r;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO workflows_journalevent (run_id, type, at, n, data)
    VALUES (p_run, 'run.' || p_state, clock_timestamp(), r.events,
            jsonb_strip_nulls(jsonb_build_object('output', encode(p_output, 'hex'), 'error', r.error)));
    PERFORM interlock_announce('run.' || p_state, p_run, NULL);
    IF r.parent_path IS NOT NULL THEN
        v_ready := interlock_answer(r.parent_id, r.parent_path, 'child', NULL, p_run);
    END IF;
    IF r.concurrency_key IS NOT NULL AND r.admitted THEN
        v_ready := v_ready || interlock_admit(r.workflow, r.environment_id, r.concurrency_key);
    END IF;
    RETURN v_ready;
END $$;

-- All steps are done: the run ends with its output, or fails because its output could not be computed.
-- Returns what became ready by it, or NULL when the run did not move.
CREATE OR REPLACE FUNCTION interlock_finish_run(p_run text, p_output text, p_error jsonb, p_hashes bytea[],
                                                p_sizes integer[], p_compressed boolean[], p_bodies bytea[])
RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    PERFORM interlock_keep(p_hashes, p_sizes, p_compressed, p_bodies) WHERE cardinality(p_hashes) > 0;
    IF p_error IS NULL THEN
        RETURN to_jsonb(interlock_end_run(p_run, 'succeeded', '', decode(p_output, 'hex')));
    END IF;
    UPDATE workflows_run SET stopping = 'failed', error = p_error
     WHERE id = p_run AND stopping = '' AND state IN ('queued', 'running', 'waiting');
    RETURN to_jsonb(interlock_end_run(p_run, 'failed', 'failed', NULL));
END $$;

-- Nothing else goes on: the steps that run at the end begin, once.
CREATE OR REPLACE FUNCTION interlock_begin_closing(p_run text, p_steps jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    r workflows_run;
    v_ready jsonb;
    v_epoch integer;  -- of a run that is retried they run anew
BEGIN
    UPDATE workflows_run
       SET closing = 'running', events = events + 1, started_at = coalesce(started_at, clock_timestamp()),
           state = CASE WHEN state IN ('queued', 'paused') THEN 'running' ELSE state END
     WHERE id = p_run AND closing = 'pending'
       AND (state IN ('queued', 'running', 'waiting') OR (state = 'paused' AND stopping <> ''))
    RETURNING * INTO r;
    IF NOT FOUND THEN
        RETURN '[]';
    END IF;
    INSERT INTO workflows_journalevent (run_id, type, at, n, data)
    VALUES (p_run, 'run.closing', clock_timestamp(), r.events, jsonb_build_object('outcome',
            CASE r.stopping WHEN '' THEN 'succeeded' ELSE r.stopping END));
    SELECT coalesce(max(epoch), 0) + 1 INTO v_epoch FROM workflows_steprun WHERE run_id = p_run AND at_end;
    WITH added AS (
        INSERT INTO workflows_steprun
            (run_id, path, step_id, kind, epoch, superseded, ordinal, lane, state, reason, waiting_on, held, settling,
             at_end, alone, priority, ready_at, rings, sent, attempts_made, failures, losses, events)
        SELECT p_run, x.path, x.step_id, x.kind, v_epoch, false, x.ordinal, r.environment_id || '/' || r.workflow,
               CASE WHEN x.waiting_on = 0 THEN 'ready' ELSE 'pending' END, '', x.waiting_on, false, false,
               true, false, r.priority, CASE WHEN x.waiting_on = 0 THEN clock_timestamp() END,
               0, false, 0, 0, 0, 0
          FROM jsonb_to_recordset(p_steps) AS x(
               path text, step_id text, kind text, ordinal integer, waiting_on integer)
        RETURNING id, state)
    SELECT coalesce(jsonb_agg(id ORDER BY id) FILTER (WHERE state = 'ready'), '[]') INTO v_ready FROM added;
    RETURN v_ready;
END $$;
