-- The outcome of one attempt and all that follows from it, in one transaction: the attempt, payloads, journal,
-- lineage, children, successors' counters, the run's end, and the claim of the one row this worker goes on with.
--
-- c: {step, attempt, number, lease, worker, next_lease, lease_s, go_on,
--     outcome: succeeded | skipped | failed | retry | unknown | expanded | parked | cancelled,
--     input, output: hex or null, error, wake_s, wake_at, cost, tokens, data, lineage: [[kind, ref]],
--     children: [{path, step_id, kind, ordinal, item, item_hash, waiting_on, held}]; beside: they are siblings,
--     reason: what a parked step waits for, awaits: the name of a signal, approval: {…}, child: a run to start,
--     successors: [path], next_item: gate ordinal or null, end: output hex or null, ends: bool,
--     fails: null | {prefix, error, container: path or null},
--     cache: null | [key in hex, seconds]}
-- Returns {applied, next: a claim or null, ready: [step], ended: bool, stopping}.
CREATE OR REPLACE FUNCTION interlock_commit(
    c jsonb, p_hashes bytea[], p_sizes integer[], p_compressed boolean[], p_bodies bytea[])
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    s workflows_steprun;
    v_outcome text := c ->> 'outcome';
    v_state text;
    v_stopping text;
    v_active boolean;
    v_stops boolean;
    v_over boolean;
    v_quiet boolean;
    v_woken bigint[];
    v_applied boolean;
    v_ready bigint[] := '{}';
    v_ended boolean := false;
    v_next bigint;
    v_claim jsonb;
    v_row record;
    v_number integer := (c ->> 'number')::integer;
    v_go_on boolean := (c ->> 'go_on')::boolean;
BEGIN
    v_state := CASE v_outcome WHEN 'retry' THEN 'waiting' WHEN 'expanded' THEN 'waiting'
               WHEN 'parked' THEN 'waiting' ELSE v_outcome END;
    IF v_outcome IN ('expanded', 'parked', 'retry') OR jsonb_array_length(c -> 'children') > 0 THEN
        -- Only a run that goes on gets children and waits; the share lock keeps a cancel from overlooking them, and
        -- a signal from missing the step that waits for it.
        PERFORM 1 FROM workflows_run r JOIN workflows_steprun x ON x.run_id = r.id
          WHERE x.id = (c ->> 'step')::bigint AND (r.stopping = '' OR x.at_end)
            AND r.state IN ('queued', 'running', 'waiting', 'paused') FOR SHARE OF r;
        v_stops := NOT FOUND AND v_outcome IN ('expanded', 'parked', 'retry');
        -- Nor does a scope that is over while its run goes on: a container absorbed a failure, or its time ran out.
        SELECT reason = 'over' INTO v_over FROM workflows_steprun WHERE id = (c ->> 'step')::bigint FOR UPDATE;
        IF v_over AND v_outcome = 'succeeded' THEN
            c := c || '{"children": []}'::jsonb;  -- an agent's turn counts, and nothing follows from it
        ELSIF v_stops OR v_over THEN
            v_outcome := 'cancelled';
            v_state := 'cancelled';
        END IF;
    END IF;

    IF c #>> '{fails,prefix}' <> '' THEN
        -- Steps of one scope that fail at once mark each other: one after the other, before each holds its own row.
        PERFORM pg_advisory_xact_lock(hashtextextended(run_id || ' ' || (c #>> '{fails,prefix}'), 0))
           FROM workflows_steprun WHERE id = (c ->> 'step')::bigint;
    END IF;

    UPDATE workflows_steprun
       SET state = v_state,
           reason = CASE v_outcome WHEN 'retry' THEN 'retry' WHEN 'expanded' THEN 'children'
                    WHEN 'parked' THEN c ->> 'reason' ELSE '' END,
           lease = NULL, lease_until = NULL, sent = false, settling = v_outcome = 'parked', events = events + 1,
           awaits = CASE WHEN v_outcome = 'parked' THEN c ->> 'awaits' END, answer_hash = NULL,
           input_hash = coalesce(decode(c ->> 'input', 'hex'), input_hash),
           output_hash = decode(c ->> 'output', 'hex'),
           error = CASE WHEN v_outcome IN ('failed', 'retry', 'unknown', 'cancelled')
                   THEN nullif(c -> 'error', 'null'::jsonb) END,
           failures = failures + (v_outcome IN ('failed', 'retry'))::integer,
           wake_at = CASE WHEN v_outcome IN ('retry', 'parked', 'expanded') THEN coalesce(
                         (c ->> 'wake_at')::timestamptz,
                         clock_timestamp() + make_interval(secs => (c ->> 'wake_s')::float8)) END,
           ended_at = CASE WHEN v_state IN ('succeeded', 'failed', 'skipped', 'cancelled')
                      THEN clock_timestamp() END,
           cost_usd = CASE WHEN c ->> 'cost' IS NULL THEN cost_usd
                      ELSE coalesce(cost_usd, 0) + (c ->> 'cost')::numeric END,
           tokens = CASE WHEN c ->> 'tokens' IS NULL THEN tokens ELSE interlock_add_tokens(tokens, c -> 'tokens') END
     WHERE id = (c ->> 'step')::bigint
       AND ((state = 'running' AND lease = (c ->> 'lease')::uuid)
            -- A late result of the very attempt whose effect was unknown settles it; so does a person.
            OR (state = 'unknown' AND NOT superseded AND attempts_made = v_number
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
                   WHEN 'parked' THEN 'succeeded' WHEN 'retry' THEN 'failed' WHEN 'unknown' THEN 'failed' ELSE v_outcome END,
           ended_at = clock_timestamp(), error = s.error
     WHERE id = (c ->> 'attempt')::bigint;
    INSERT INTO workflows_journalevent (run_id, type, at, step, epoch, attempt, n, data)
    VALUES (s.run_id, 'step.' || CASE v_outcome WHEN 'retry' THEN 'retrying'
                WHEN 'parked' THEN 'waiting' ELSE v_outcome END,
            clock_timestamp(), s.path, s.epoch, v_number, s.events,
            jsonb_strip_nulls(coalesce(c -> 'data', '{}') || jsonb_build_object(
                'input', c -> 'input', 'output', c -> 'output', 'error', s.error, 'wake_at', s.wake_at)));
    IF jsonb_array_length(c -> 'lineage') > 0 THEN
        INSERT INTO workflows_lineage (run_id, step_run_id, kind, ref)
        SELECT s.run_id, s.id, l ->> 0, l ->> 1 FROM jsonb_array_elements(c -> 'lineage') l;
    END IF;

    IF c -> 'cache' <> 'null'::jsonb THEN
        INSERT INTO workflows_cachedresult AS k (key, output_hash, lineage, run_id, path, created_at, expires_at)
        VALUES (decode(c #>> '{cache,0}', 'hex'), s.output_hash, c -> 'lineage', s.run_id, s.path, clock_timestamp(),
                clock_timestamp() + make_interval(secs => (c #>> '{cache,1}')::float8))
        ON CONFLICT (key) DO UPDATE SET output_hash = excluded.output_hash, lineage = excluded.lineage,
               run_id = excluded.run_id, path = excluded.path, created_at = excluded.created_at,
               expires_at = excluded.expires_at;
    END IF;
    IF c -> 'fails' <> 'null'::jsonb THEN
        PERFORM interlock_fail_scope(s.run_id, s.id, c -> 'fails');
    END IF;
    IF v_state IN ('failed', 'cancelled', 'skipped') AND s.kind IN ('workflow', 'tool', 'call') THEN
        PERFORM interlock_cancel_children(s.run_id, s.path);
    END IF;
    SELECT stopping, state IN ('queued', 'running', 'waiting', 'paused') AND (stopping = '' OR s.at_end),
           state = 'paused' OR NOT (admitted OR s.at_end)
      INTO v_stopping, v_active, v_quiet FROM workflows_run WHERE id = s.run_id;
    v_quiet := v_quiet AND interlock_quiet(s.run_id, s.at_end);
    v_go_on := v_go_on AND NOT v_quiet AND NOT interlock_paused(s.lane);

    IF v_outcome = 'expanded' THEN
        v_ready := interlock_add_children(s, s.id, c -> 'children', v_quiet);
    ELSIF v_outcome = 'parked' THEN
        v_ready := interlock_park(s, c);
    ELSIF v_active AND v_state IN ('succeeded', 'skipped', 'failed') THEN
        IF jsonb_array_length(c -> 'children') > 0 THEN
            v_ready := interlock_add_children(s, s.parent_id, c -> 'children', v_quiet);
        END IF;
        IF jsonb_array_length(c -> 'successors') > 0 THEN
            v_ready := v_ready || interlock_release(s.run_id, c -> 'successors',
                                                    v_go_on AND cardinality(v_ready) = 0, v_quiet);
        END IF;
        IF c ->> 'next_item' IS NOT NULL THEN
            v_ready := v_ready || interlock_next_item(s.parent_id, (c ->> 'next_item')::integer,
                                                      v_go_on AND cardinality(v_ready) = 0, v_quiet);
        END IF;
        IF (c ->> 'ends')::boolean AND NOT v_quiet THEN
            v_woken := interlock_end_run(s.run_id, 'succeeded', '', decode(c ->> 'end', 'hex'));
            v_ended := v_woken IS NOT NULL;
            v_ready := v_ready || coalesce(v_woken, '{}');
            -- What waited elsewhere for the end of this run may not begin right here.
            v_go_on := v_go_on AND NOT EXISTS (
                SELECT FROM workflows_steprun WHERE id = v_ready[1] AND (alone OR interlock_paused(lane)));
        END IF;
    END IF;
    IF v_state <> 'waiting' AND s.kind = 'approval' THEN
        UPDATE workflows_approval SET closed_at = clock_timestamp(), outcome = 'timed_out'
         WHERE step_run_id = s.id AND closed_at IS NULL;
    END IF;

    IF v_active AND v_go_on AND cardinality(v_ready) > 0 THEN
        v_claim := interlock_begin(v_ready[1], c ->> 'worker', (c ->> 'next_lease')::uuid,
                                   (c ->> 'lease_s')::float8);
        IF v_claim IS NOT NULL THEN
            v_ready := v_ready[2:];
        ELSE  -- the run was paused or stopped this very moment: the row is let go, for whoever leads the run on
            UPDATE workflows_steprun
               SET waiting_on = 0, held = false, ready_at = clock_timestamp(),
                   state = CASE WHEN interlock_quiet(run_id, at_end) THEN 'pending' ELSE 'ready' END
             WHERE id = v_ready[1] AND state = 'pending';
        END IF;
    END IF;
    RETURN jsonb_build_object('applied', true, 'next', v_claim, 'ready', to_jsonb(v_ready),
                              'ended', v_ended, 'stopping', v_stopping);
END $$;
