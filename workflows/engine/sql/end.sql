-- The end of a run: state, totals and its journal entry, once. Returns whether it moved.
-- `p_stopping` is what the run must have been heading for: '' for success.
CREATE FUNCTION interlock_end(p_run text, p_state text, p_stopping text, p_output bytea)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    r workflows_run;
    v_cost numeric;
    v_tokens jsonb;
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
     WHERE id = p_run AND state IN ('queued', 'running', 'waiting', 'paused') AND stopping = p_stopping
    RETURNING * INTO r;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO workflows_journalevent (run_id, type, at, n, data)
    VALUES (p_run, 'run.' || p_state, clock_timestamp(), r.events,
            jsonb_strip_nulls(jsonb_build_object('output', encode(p_output, 'hex'), 'error', r.error)));
    RETURN true;
END $$;

-- All steps are done: the run ends with its output, or fails because its output could not be computed.
CREATE FUNCTION interlock_finish(p_run text, p_output text, p_error jsonb, p_hashes bytea[], p_sizes integer[],
                                 p_compressed boolean[], p_bodies bytea[])
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM interlock_keep(p_hashes, p_sizes, p_compressed, p_bodies) WHERE cardinality(p_hashes) > 0;
    IF p_error IS NULL THEN
        RETURN interlock_end(p_run, 'succeeded', '', decode(p_output, 'hex'));
    END IF;
    UPDATE workflows_run SET stopping = 'failed', error = p_error
     WHERE id = p_run AND stopping = '' AND state IN ('queued', 'running', 'waiting');
    RETURN interlock_end(p_run, 'failed', 'failed', NULL);
END $$;
