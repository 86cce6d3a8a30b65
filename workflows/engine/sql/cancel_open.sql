-- Cancel what has not started or only waits, below `p_prefix` ('' for the whole run). Unknown effects are left as they
-- are. `p_at_end`: the workflow's `finally` steps too. Child runs that are waited for are cancelled with their step, and
-- open approvals are closed.
-- Running attempts may finish. Of a whole run, `stopping` says that nothing follows from them; below a container each
-- is marked: its scope is `over`. One that commits this very moment may have added to what is here: look again.
CREATE OR REPLACE FUNCTION interlock_cancel_open(p_run text, p_prefix text, p_except bigint, p_at_end boolean)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_count integer := 0;
BEGIN
    LOOP
        IF p_prefix <> '' THEN
            UPDATE workflows_steprun SET reason = 'over'
             WHERE run_id = p_run AND path > p_prefix AND path < p_prefix || '~' AND NOT superseded
               AND id IS DISTINCT FROM p_except
               AND state = 'running' AND reason <> 'over';
        END IF;
        v_count := v_count + interlock_cancel_idle(p_run, p_prefix, p_except, p_at_end);
        EXIT WHEN p_prefix = '' OR NOT EXISTS (
            SELECT 1 FROM workflows_steprun
             WHERE run_id = p_run AND path > p_prefix AND path < p_prefix || '~' AND NOT superseded
               AND id IS DISTINCT FROM p_except AND (p_at_end OR NOT at_end)
               AND (state IN ('pending', 'ready', 'waiting') OR (state = 'running' AND reason <> 'over')));
    END LOOP;
    RETURN v_count;
END $$;

-- One look: what of it is there now, and does not run.
CREATE OR REPLACE FUNCTION interlock_cancel_idle(p_run text, p_prefix text, p_except bigint, p_at_end boolean)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_count integer;
    v_waited text[];
    v_path text;
BEGIN
    WITH gone AS (
        UPDATE workflows_steprun
           SET state = 'cancelled', ended_at = clock_timestamp(), wake_at = NULL, awaits = NULL, events = events + 1
         WHERE run_id = p_run AND NOT superseded AND id IS DISTINCT FROM p_except
           AND state IN ('pending', 'ready', 'waiting') AND (p_at_end OR NOT at_end)
           AND (p_prefix = '' OR starts_with(path, p_prefix))
        RETURNING id, run_id, path, epoch, events, reason
    ), told AS (
        INSERT INTO workflows_journalevent (run_id, type, at, step, epoch, n, data)
        SELECT run_id, 'step.cancelled', clock_timestamp(), path, epoch, events, '{}' FROM gone ORDER BY path
        RETURNING 1
    ), closed AS (
        UPDATE workflows_approval SET closed_at = clock_timestamp(), outcome = 'cancelled'
         WHERE step_run_id IN (SELECT id FROM gone WHERE reason = 'approval') AND closed_at IS NULL
    )
    SELECT (SELECT count(*) FROM told), (SELECT array_agg(path ORDER BY path) FROM gone WHERE reason = 'child')
      INTO v_count, v_waited;
    FOREACH v_path IN ARRAY coalesce(v_waited, '{}') LOOP
        PERFORM interlock_cancel_children(p_run, v_path);
    END LOOP;
    RETURN v_count;
END $$;

-- Cancel the child runs that a step has started and that still go on.
CREATE OR REPLACE FUNCTION interlock_cancel_children(p_run text, p_path text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_child text;
BEGIN
    FOR v_child IN
        SELECT id FROM workflows_run
         WHERE parent_id = p_run AND parent_path = p_path AND ended_at IS NULL ORDER BY id
    LOOP
        PERFORM interlock_cancel_run(v_child, 'run ' || p_run, 'The run that waits for this one stopped.');
    END LOOP;
END $$;
