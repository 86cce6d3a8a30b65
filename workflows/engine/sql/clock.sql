-- The clock's statements. Whoever holds the lease row runs them; running them twice does no harm.

CREATE OR REPLACE FUNCTION interlock_hold_clock(p_holder text, p_lease_s float8) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO workflows_clocklease AS l (name, holder, held_until)
    VALUES ('clock', p_holder, clock_timestamp() + make_interval(secs => p_lease_s))
    ON CONFLICT (name) DO UPDATE SET holder = p_holder,
           held_until = clock_timestamp() + make_interval(secs => p_lease_s)
     WHERE l.holder = p_holder OR l.held_until < clock_timestamp();
    RETURN FOUND;
END $$;

-- Timers that are due: retries, waits for a time, and waits for anything else that took too long.
CREATE OR REPLACE FUNCTION interlock_wake(p_limit integer) RETURNS jsonb LANGUAGE sql AS $$
    WITH due AS (
        SELECT id, run_id, at_end FROM workflows_steprun
         WHERE state = 'waiting' AND wake_at <= clock_timestamp() AND reason <> 'children'
         ORDER BY wake_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), woken AS (
        UPDATE workflows_steprun s
           SET state = CASE WHEN interlock_quiet(due.run_id, due.at_end) THEN 'pending' ELSE 'ready' END, reason = '', wake_at = NULL,
               waiting_on = 0, awaits = NULL, ready_at = clock_timestamp()
          FROM due WHERE s.id = due.id
        RETURNING s.id, s.state)
    SELECT coalesce(jsonb_agg(id) FILTER (WHERE state = 'ready'), '[]') FROM woken;
$$;

-- Containers whose time is over: they fail, and what has not started below them never does.
CREATE OR REPLACE FUNCTION interlock_time_out(p_limit integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    s workflows_steprun;
    v_past jsonb := '[]';
BEGIN
    FOR s IN
        SELECT * FROM workflows_steprun
         WHERE state = 'waiting' AND wake_at <= clock_timestamp() AND reason = 'children'
         ORDER BY wake_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    LOOP
        UPDATE workflows_steprun SET wake_at = NULL, error = jsonb_build_object(
                   'class', 'timeout', 'message', 'The steps inside did not end within its time-out.', 'step', s.path)
         WHERE id = s.id;
        PERFORM interlock_cancel_open(s.run_id, s.path || '[', s.id, s.at_end);
        PERFORM interlock_cancel_open(s.run_id, s.path || '/', s.id, s.at_end);
        v_past := v_past || jsonb_build_object('run', s.run_id, 'parent', s.id);
    END LOOP;
    RETURN v_past;
END $$;

-- Rows whose doorbell seems lost: each time twice as long is waited, up to a minute.
CREATE OR REPLACE FUNCTION interlock_overdue(p_first_s float8, p_limit integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_priority smallint := -1;
    v_lane text := '';
    v_found record;
    v_some jsonb;
    v_rung jsonb := '[]';
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    LOOP  -- lane by lane: the rows of a paused one are never looked at
        SELECT priority, lane INTO v_found FROM workflows_steprun
         WHERE state = 'ready' AND (priority, lane) > (v_priority, v_lane) ORDER BY priority, lane LIMIT 1;
        EXIT WHEN NOT FOUND OR jsonb_array_length(v_rung) >= p_limit;
        v_priority := v_found.priority;
        v_lane := v_found.lane;
        CONTINUE WHEN interlock_paused(v_lane);
        WITH late AS (
            SELECT id FROM workflows_steprun
             WHERE state = 'ready' AND priority = v_priority AND lane = v_lane
               AND coalesce(rung_at, ready_at)
                   < clock_timestamp() - make_interval(secs => least(p_first_s * 2 ^ rings, 60))
             ORDER BY ready_at LIMIT p_limit - jsonb_array_length(v_rung) FOR UPDATE SKIP LOCKED
        ), rung AS (
            UPDATE workflows_steprun s SET rung_at = clock_timestamp(), rings = least(s.rings + 1, 10)
              FROM late WHERE s.id = late.id
            RETURNING s.id)
        SELECT coalesce(jsonb_agg(id), '[]') INTO v_some FROM rung;
        v_rung := v_rung || v_some;
    END LOOP;
    RETURN v_rung;
END $$;

-- Backstop: what a worker that died right after its commit did not close.
CREATE OR REPLACE FUNCTION interlock_unclosed(p_older_s float8, p_limit integer) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('run', run, 'parent', parent)), '[]') FROM (
        (SELECT r.id AS run, NULL::bigint AS parent FROM workflows_run r
          WHERE r.ended_at IS NULL
            -- A pause holds up what would begin, not the end of a run that failed meanwhile.
            AND (r.state IN ('queued', 'running', 'waiting') OR (r.state = 'paused' AND r.stopping <> ''))
            AND r.created_at < clock_timestamp() - make_interval(secs => p_older_s)
            AND NOT EXISTS (
                SELECT 1 FROM workflows_steprun s WHERE s.run_id = r.id
                   AND s.state NOT IN ('succeeded', 'skipped', 'failed', 'cancelled')
                   AND (r.stopping = '' OR s.at_end OR s.state IN ('ready', 'running')))
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
CREATE OR REPLACE FUNCTION interlock_deadlines(p_limit integer) RETURNS jsonb LANGUAGE plpgsql AS $$
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
