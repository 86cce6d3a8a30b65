-- Whether nothing new may start in a lane (ENVIRONMENT/WORKFLOW). The table is nearly always empty.
CREATE OR REPLACE FUNCTION interlock_paused(p_lane text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT 1 FROM workflows_pause
         WHERE (environment_id IS NULL OR environment_id = split_part(p_lane, '/', 1))
           AND (workflow IS NULL OR workflow = split_part(p_lane, '/', 2)));
$$;

-- A doorbell was heard: take the best ready row, whichever rang. The best priority first; within it the lanes
-- (environment and workflow) in turn, beginning behind `p_after`, the one that this process served last, so that
-- a flood in one lane delays nobody else; within a lane the oldest. Each is one look at the head of an index,
-- however many rows wait. `p_idle`: no other step runs in this process, so that a row which must run alone may
-- be taken. Returns a claim, or NULL.
CREATE OR REPLACE FUNCTION interlock_claim(
    p_worker text, p_lease uuid, p_lease_s float8, p_idle boolean, p_after text)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_priority smallint := -1;
    v_lane text;
    v_found record;
    v_round integer;
    v_claim jsonb;
    v_aside integer := 0;  -- rows put aside; a claim must end, whatever it meets
BEGIN
    LOOP
        SELECT priority INTO v_priority FROM workflows_steprun
         WHERE state = 'ready' AND priority > v_priority ORDER BY priority LIMIT 1;
        EXIT WHEN NOT FOUND;
        v_lane := p_after;
        v_round := 1;
        LOOP
            SELECT id, lane INTO v_found FROM workflows_steprun
             WHERE state = 'ready' AND priority = v_priority AND lane > v_lane AND (p_idle OR NOT alone)
               AND (v_round = 1 OR lane <= p_after)
             ORDER BY lane, ready_at, id LIMIT 1
               FOR UPDATE SKIP LOCKED;
            IF NOT FOUND THEN
                EXIT WHEN v_round = 2;
                v_round := 2;
                v_lane := '';
                CONTINUE;
            END IF;
            IF interlock_paused(v_found.lane) THEN
                v_lane := v_found.lane;
                CONTINUE;
            END IF;
            v_claim := interlock_begin(v_found.id, p_worker, p_lease, p_lease_s);
            IF v_claim IS NOT NULL THEN
                RETURN v_claim;
            END IF;
            PERFORM interlock_put_aside(v_found.id);
            v_aside := v_aside + 1;
            IF v_aside = 100 THEN
                RETURN NULL;
            END IF;
        END LOOP;
    END LOOP;
    RETURN NULL;
END $$;

-- A ready row whose run does not go on: it became ready while the run was being paused or stopped, or its run is
-- not there any more. Left as it is, it would be the first of its lane for ever.
CREATE OR REPLACE FUNCTION interlock_put_aside(p_step bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_run text;
    v_at_end boolean;
BEGIN
    SELECT run_id, at_end INTO v_run, v_at_end FROM workflows_steprun WHERE id = p_step;
    IF interlock_quiet(v_run, v_at_end) THEN
        UPDATE workflows_steprun SET state = 'pending', waiting_on = 0 WHERE id = p_step AND state = 'ready';
    ELSIF NOT EXISTS (SELECT 1 FROM workflows_run WHERE id = v_run AND ended_at IS NULL) THEN
        UPDATE workflows_steprun SET state = 'cancelled', ended_at = clock_timestamp()
         WHERE id = p_step AND state = 'ready';
    ELSIF EXISTS (SELECT 1 FROM workflows_run WHERE id = v_run AND stopping <> '') THEN
        PERFORM interlock_cancel_open(v_run, '', NULL, false);
    END IF;
END $$;
