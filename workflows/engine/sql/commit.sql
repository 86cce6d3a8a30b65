-- The outcome of one attempt and all that follows from it, in one transaction: the attempt, payloads, journal,
-- lineage, children, successors' counters, the run's end, and the claim of the one row this worker goes on with.
--
-- c: {step, attempt, number, lease, worker, next_lease, lease_s, go_on,
--     outcome: succeeded | skipped | failed | retry | unknown | expanded | cancelled,
--     input, output: hex or null, error, wake_s, cost, tokens, data, lineage: [[kind, ref]],
--     children: [{path, step_id, kind, ordinal, item, item_hash, waiting_on, held}],
--     successors: [path], next_item: gate ordinal or null, end: output hex or null, ends: bool,
--     fails: null | {prefix, error, container: path or null}}
-- Returns {applied, next: a claim or null, ready: [step], ended: bool, run_stopping}.
CREATE FUNCTION interlock_commit(
    c jsonb, p_hashes bytea[], p_sizes integer[], p_compressed boolean[], p_bodies bytea[])
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    s workflows_steprun;
    v_outcome text := c ->> 'outcome';
    v_state text;
    v_stopping text;
    v_active boolean;
    v_applied boolean;
    v_ready bigint[] := '{}';
    v_ended boolean := false;
    v_next bigint;
    v_claim jsonb;
    v_row record;
    v_number integer := (c ->> 'number')::integer;
    v_go_on boolean := (c ->> 'go_on')::boolean;
BEGIN
    v_state := CASE v_outcome WHEN 'retry' THEN 'waiting' WHEN 'expanded' THEN 'waiting' ELSE v_outcome END;
    IF v_outcome = 'expanded' THEN
        -- Children are only added to a run that goes on; the share lock keeps a cancel from overlooking them.
        PERFORM 1 FROM workflows_run
          WHERE id = (SELECT run_id FROM workflows_steprun WHERE id = (c ->> 'step')::bigint)
            AND stopping = '' AND state IN ('queued', 'running', 'waiting', 'paused') FOR SHARE;
        IF NOT FOUND THEN
            v_outcome := 'cancelled';
            v_state := 'cancelled';
        END IF;
    END IF;

    UPDATE workflows_steprun
       SET state = v_state,
           reason = CASE v_outcome WHEN 'retry' THEN 'retry' WHEN 'expanded' THEN 'children' ELSE '' END,
           lease = NULL, lease_until = NULL, sent = false, settling = false, events = events + 1,
           input_hash = coalesce(decode(c ->> 'input', 'hex'), input_hash),
           output_hash = decode(c ->> 'output', 'hex'),
           error = CASE WHEN v_outcome IN ('failed', 'retry', 'unknown') THEN c -> 'error' END,
           failures = failures + (v_outcome IN ('failed', 'retry'))::integer,
           wake_at = CASE WHEN v_outcome = 'retry'
                     THEN clock_timestamp() + make_interval(secs => (c ->> 'wake_s')::float8) END,
           ended_at = CASE WHEN v_state IN ('succeeded', 'failed', 'skipped', 'cancelled')
                      THEN clock_timestamp() END,
           cost_usd = CASE WHEN c ->> 'cost' IS NULL THEN cost_usd
                      ELSE coalesce(cost_usd, 0) + (c ->> 'cost')::numeric END,
           tokens = CASE WHEN c ->> 'tokens' IS NULL THEN tokens ELSE interlock_add_tokens(tokens, c -> 'tokens') END
     WHERE id = (c ->> 'step')::bigint
       AND ((state = 'running' AND lease = (c ->> 'lease')::uuid)
            -- A late result of the very attempt whose effect was unknown settles it; so does a person.
            OR (state = 'unknown' AND attempts_made = v_number
                AND v_outcome IN ('succeeded', 'failed', 'skipped')))
    RETURNING * INTO s;
    v_applied := FOUND;
    IF cardinality(p_hashes) > 0 THEN
        PERFORM interlock_keep(p_hashes, p_sizes, p_compressed, p_bodies);
    END IF;
    IF NOT v_applied THEN
        RETURN interlock_late(c);
    END IF;

    UPDATE workflows_attempt
       SET state = CASE v_outcome WHEN 'skipped' THEN 'succeeded' WHEN 'expanded' THEN 'succeeded'
                   WHEN 'retry' THEN 'failed' WHEN 'unknown' THEN 'failed' ELSE v_outcome END,
           ended_at = clock_timestamp(),
           error = CASE WHEN v_outcome IN ('failed', 'retry', 'unknown') THEN c -> 'error' END
     WHERE id = (c ->> 'attempt')::bigint;
    INSERT INTO workflows_journalevent (run_id, type, at, step, epoch, attempt, n, data)
    VALUES (s.run_id, 'step.' || CASE v_outcome WHEN 'retry' THEN 'retrying' ELSE v_outcome END,
            clock_timestamp(), s.path, s.epoch, v_number, s.events,
            jsonb_strip_nulls(coalesce(c -> 'data', '{}') || jsonb_build_object(
                'input', c -> 'input', 'output', c -> 'output', 'error', s.error, 'wake_at', s.wake_at)));
    IF jsonb_array_length(c -> 'lineage') > 0 THEN
        INSERT INTO workflows_lineage (run_id, step_run_id, kind, ref)
        SELECT s.run_id, s.id, l ->> 0, l ->> 1 FROM jsonb_array_elements(c -> 'lineage') l;
    END IF;

    IF c -> 'fails' <> 'null'::jsonb THEN
        PERFORM interlock_fail_scope(s.run_id, s.id, c -> 'fails');
    END IF;
    SELECT stopping, state IN ('queued', 'running', 'waiting') AND stopping = ''
      INTO v_stopping, v_active FROM workflows_run WHERE id = s.run_id;

    IF v_outcome = 'expanded' THEN
        v_ready := interlock_add_children(s, c -> 'children');
    ELSIF v_active AND v_state IN ('succeeded', 'skipped', 'failed') THEN
        IF jsonb_array_length(c -> 'successors') > 0 THEN
            v_ready := interlock_release(s.run_id, c -> 'successors', v_go_on);
        END IF;
        IF c ->> 'next_item' IS NOT NULL THEN
            v_ready := v_ready || interlock_next_item(s.parent_id, (c ->> 'next_item')::integer,
                                                      v_go_on AND cardinality(v_ready) = 0);
        END IF;
        IF (c ->> 'ends')::boolean THEN
            v_ended := interlock_end(s.run_id, 'succeeded', '', decode(c ->> 'end', 'hex'));
        END IF;
    END IF;

    IF v_active AND v_go_on AND cardinality(v_ready) > 0 THEN
        v_claim := interlock_begin(v_ready[1], c ->> 'worker', (c ->> 'next_lease')::uuid,
                                   (c ->> 'lease_s')::float8);
        v_ready := v_ready[2:];
    END IF;
    RETURN jsonb_build_object('applied', true, 'next', v_claim, 'ready', to_jsonb(v_ready),
                              'ended', v_ended, 'stopping', v_stopping);
END $$;
