-- The clock's statements. Whoever holds the lease row runs them; running them twice does no harm.

CREATE FUNCTION interlock_hold_clock(p_holder text, p_lease_s float8) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO workflows_clocklease AS l (name, holder, held_until)
    VALUES ('clock', p_holder, clock_timestamp() + make_interval(secs => p_lease_s))
    ON CONFLICT (name) DO UPDATE SET holder = p_holder,
           held_until = clock_timestamp() + make_interval(secs => p_lease_s)
     WHERE l.holder = p_holder OR l.held_until < clock_timestamp();
    RETURN FOUND;
END $$;

-- Timers that are due: retries, later waits.
CREATE FUNCTION interlock_wake(p_limit integer) RETURNS jsonb LANGUAGE sql AS $$
    WITH due AS (
        SELECT id FROM workflows_steprun WHERE state = 'waiting' AND wake_at <= clock_timestamp()
         ORDER BY wake_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), woken AS (
        UPDATE workflows_steprun s SET state = 'ready', reason = '', wake_at = NULL, ready_at = clock_timestamp()
          FROM due WHERE s.id = due.id
        RETURNING s.id)
    SELECT coalesce(jsonb_agg(id), '[]') FROM woken;
$$;

-- Rows whose doorbell seems lost: each time twice as long is waited, up to a minute.
CREATE FUNCTION interlock_overdue(p_first_s float8, p_limit integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_rung jsonb;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    WITH late AS (
        SELECT s.id FROM workflows_steprun s JOIN workflows_run r ON r.id = s.run_id
         WHERE s.state = 'ready' AND r.state IN ('queued', 'running', 'waiting') AND r.stopping = ''
           AND coalesce(s.rung_at, s.ready_at)
               < clock_timestamp() - make_interval(secs => least(p_first_s * 2 ^ s.rings, 60))
         ORDER BY s.priority, s.ready_at LIMIT p_limit FOR UPDATE OF s SKIP LOCKED
    ), rung AS (
        UPDATE workflows_steprun s SET rung_at = clock_timestamp(), rings = least(s.rings + 1, 10)
          FROM late WHERE s.id = late.id
        RETURNING s.id)
    SELECT coalesce(jsonb_agg(id), '[]') INTO v_rung FROM rung;
    RETURN v_rung;
END $$;

-- Backstop: what a worker that died right after its commit did not close.
CREATE FUNCTION interlock_unclosed(p_older_s float8, p_limit integer) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('run', run, 'parent', parent)), '[]') FROM (
        (SELECT r.id AS run, NULL::bigint AS parent FROM workflows_run r
          WHERE r.ended_at IS NULL AND r.state IN ('queued', 'running', 'waiting')
            AND r.created_at < clock_timestamp() - make_interval(secs => p_older_s)
            AND NOT EXISTS (
                SELECT 1 FROM workflows_steprun s WHERE s.run_id = r.id
                   AND s.state NOT IN ('succeeded', 'skipped', 'failed', 'cancelled')
                   AND (r.stopping = '' OR s.state IN ('ready', 'running')))
          LIMIT p_limit)
        UNION ALL
        (SELECT p.run_id, p.id FROM workflows_steprun p
          WHERE p.state = 'waiting' AND p.reason = 'children'
            AND NOT EXISTS (
                SELECT 1 FROM workflows_steprun s WHERE s.parent_id = p.id AND NOT s.superseded
                   AND s.state NOT IN ('succeeded', 'skipped', 'failed', 'cancelled', 'pending'))
          LIMIT p_limit)) AS unclosed;
$$;

-- Runs past their deadline start to fail.
CREATE FUNCTION interlock_deadlines(p_limit integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_run text;
    v_past jsonb := '[]';
BEGIN
    FOR v_run IN
        SELECT id FROM workflows_run
         WHERE deadline_at < clock_timestamp() AND ended_at IS NULL AND stopping = ''
         ORDER BY deadline_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM interlock_fail_scope(v_run, NULL, jsonb_build_object('scope', 'run', 'error', jsonb_build_object(
            'class', 'deadline', 'message', 'The run did not end before its deadline.', 'step', NULL)));
        v_past := v_past || to_jsonb(v_run);
    END LOOP;
    RETURN v_past;
END $$;
