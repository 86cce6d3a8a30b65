-- Cancel what has not started or only waits, below `p_prefix` ('' for the whole run); `p_item` narrows it
-- to one item of the map at that prefix. Running attempts and unknown effects are left as they are.
CREATE FUNCTION interlock_cancel_open(p_run text, p_prefix text, p_except bigint)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_count integer;
BEGIN
    WITH gone AS (
        UPDATE workflows_steprun
           SET state = 'cancelled', ended_at = clock_timestamp(), wake_at = NULL, events = events + 1
         WHERE run_id = p_run AND NOT superseded AND id IS DISTINCT FROM p_except
           AND state IN ('pending', 'ready', 'waiting')
           AND (p_prefix = '' OR starts_with(path, p_prefix))
        RETURNING run_id, path, epoch, events
    ), told AS (
        INSERT INTO workflows_journalevent (run_id, type, at, step, epoch, n, data)
        SELECT run_id, 'step.cancelled', clock_timestamp(), path, epoch, events, '{}' FROM gone ORDER BY path
        RETURNING 1
    )
    SELECT count(*) INTO v_count FROM told;
    RETURN v_count;
END $$;
