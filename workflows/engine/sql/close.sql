-- After a commit: whoever sees no unfinished sibling closes the scope. Must be a statement of its own, after the
-- commit that may have been the last: two last children that commit at once do not see each other inside.
-- Returns {ready: [step], finish: the run's output has to be computed, ended: state or null}.
CREATE FUNCTION interlock_close(p_run text, p_parent bigint, p_item integer, p_gate integer)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    r workflows_run;
    v_ready bigint[] := '{}';
    v_active integer;
    v_open integer;
BEGIN
    SELECT * INTO r FROM workflows_run WHERE id = p_run;
    IF r.state IN ('succeeded', 'failed', 'cancelled') THEN
        RETURN jsonb_build_object('ready', '[]'::jsonb, 'finish', false, 'ended', r.state);
    END IF;

    IF p_parent IS NOT NULL AND r.stopping = '' THEN
        IF p_item IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM workflows_steprun WHERE parent_id = p_parent AND item = p_item AND NOT superseded
               AND state NOT IN ('succeeded', 'skipped', 'failed', 'cancelled')) THEN
            v_ready := interlock_next_item(p_parent, p_gate, false);
        END IF;
        IF NOT EXISTS (
            SELECT 1 FROM workflows_steprun WHERE parent_id = p_parent AND NOT superseded
               AND state NOT IN ('succeeded', 'skipped', 'failed', 'cancelled')) THEN
            WITH closed AS (
                UPDATE workflows_steprun
                   SET state = 'ready', reason = '', settling = true, ready_at = clock_timestamp()
                 WHERE id = p_parent AND state = 'waiting' AND reason = 'children'
                RETURNING id)
            SELECT v_ready || coalesce(array_agg(id), '{}') INTO v_ready FROM closed;
        END IF;
    END IF;

    SELECT count(*) FILTER (WHERE state IN ('ready', 'running')), count(*) INTO v_active, v_open
      FROM workflows_steprun
     WHERE run_id = p_run AND NOT superseded AND state NOT IN ('succeeded', 'skipped', 'failed', 'cancelled');
    IF r.stopping <> '' THEN
        IF v_active = 0 AND interlock_end(p_run, r.stopping, r.stopping, NULL) THEN
            RETURN jsonb_build_object('ready', '[]'::jsonb, 'finish', false, 'ended', r.stopping);
        END IF;
    ELSIF v_open = 0 THEN
        RETURN jsonb_build_object('ready', '[]'::jsonb, 'finish', true, 'ended', NULL);
    ELSIF v_active = 0 THEN
        WITH moved AS (
            UPDATE workflows_run SET state = 'waiting', events = events + 1
             WHERE id = p_run AND state = 'running' AND stopping = ''
            RETURNING id, events)
        INSERT INTO workflows_journalevent (run_id, type, at, n, data)
        SELECT id, 'run.waiting', clock_timestamp(), events, '{}' FROM moved;
    END IF;
    RETURN jsonb_build_object('ready', to_jsonb(v_ready), 'finish', false, 'ended', NULL);
END $$;
