-- After a commit: whoever sees no unfinished sibling closes the scope. Must be a statement of its own, after the
-- commit that may have been the last: two last children that commit at once do not see each other inside.
-- Returns {ready: [step], finish: the run's output has to be computed, closing: the steps at its end have to begin,
-- ended: state or null}.
CREATE OR REPLACE FUNCTION interlock_close(p_run text, p_parent bigint, p_item integer, p_gate integer)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    r workflows_run;
    v_ready bigint[] := '{}';
    v_active integer;
    v_open integer;
    v_last integer;
    v_paused boolean;
    v_quiet boolean;  -- or the container's run waits for its place
    v_woken bigint[];
    p workflows_steprun;
BEGIN
    SELECT * INTO r FROM workflows_run WHERE id = p_run;
    IF r.state IN ('succeeded', 'failed', 'cancelled') THEN
        RETURN jsonb_build_object('ready', '[]'::jsonb, 'finish', false, 'closing', false, 'ended', r.state);
    END IF;

    v_paused := r.state = 'paused' AND interlock_quiet(p_run, true);
    IF p_parent IS NOT NULL AND (r.stopping = '' OR r.closing = 'running') THEN
        SELECT * INTO p FROM workflows_steprun WHERE id = p_parent;
        WHILE p.state = 'cancelled' AND p.parent_id IS NOT NULL LOOP
            -- It was cancelled by a failure that a container further out absorbed: that one waits for what is inside.
            p_item := p.item;
            p_gate := NULL;
            SELECT * INTO p FROM workflows_steprun WHERE id = p.parent_id;
        END LOOP;
        v_quiet := v_paused OR (NOT (r.admitted OR p.at_end) AND interlock_quiet(p_run, p.at_end));
        IF p.kind = 'map' AND p_gate IS NULL THEN
            SELECT min(ordinal) INTO p_gate FROM workflows_steprun
             WHERE parent_id = p.id AND held AND state = 'pending' AND NOT superseded;
        END IF;
        IF (p_item IS NOT NULL AND NOT interlock_open_inside(p, p_item))
           OR (p_item IS NULL AND p.kind = 'map' AND NOT v_quiet AND interlock_stands_still(p)) THEN
            v_ready := interlock_next_item(p.id, p_gate, false, v_quiet);
        END IF;
        IF NOT interlock_open_inside(p, NULL) THEN
            WITH closed AS (
                UPDATE workflows_steprun
                   SET state = CASE WHEN v_quiet THEN 'pending' ELSE 'ready' END, waiting_on = 0, reason = '',
                       settling = true, wake_at = NULL, ready_at = clock_timestamp()
                 WHERE id = p.id AND state = 'waiting' AND reason = 'children'
                RETURNING id)
            SELECT v_ready || coalesce(array_agg(id) FILTER (WHERE NOT v_quiet), '{}') INTO v_ready FROM closed;
        END IF;
    END IF;

    SELECT count(*) FILTER (WHERE state IN ('ready', 'running')), count(*), count(*) FILTER (WHERE at_end)
      INTO v_active, v_open, v_last
      FROM workflows_steprun
     WHERE run_id = p_run AND NOT superseded AND state NOT IN ('succeeded', 'skipped', 'failed', 'cancelled');
    IF (r.stopping <> '' AND v_active = 0 AND v_last = 0) OR (r.stopping = '' AND v_open = 0 AND NOT v_paused) THEN
        IF r.closing = 'pending' OR r.stopping = '' THEN
            RETURN jsonb_build_object('ready', '[]'::jsonb, 'finish', r.closing <> 'pending',
                                      'closing', r.closing = 'pending', 'ended', NULL);
        END IF;
        v_woken := interlock_end_run(p_run, r.stopping, r.stopping, NULL);
        IF v_woken IS NOT NULL THEN
            RETURN jsonb_build_object('ready', to_jsonb(v_woken), 'finish', false, 'closing', false,
                                      'ended', r.stopping);
        END IF;
    ELSIF v_active = 0 THEN
        WITH moved AS (
            UPDATE workflows_run SET state = 'waiting', events = events + 1
             WHERE id = p_run AND state = 'running' AND (stopping = '' OR closing = 'running')
            RETURNING id, events)
        INSERT INTO workflows_journalevent (run_id, type, at, n, data)
        SELECT id, 'run.waiting', clock_timestamp(), events, '{}' FROM moved;
    END IF;
    RETURN jsonb_build_object('ready', to_jsonb(v_ready), 'finish', false, 'closing', false, 'ended', NULL);
END $$;

-- Whether all that is open inside of a map waits for something before it: whoever should have let the next item go died
-- before it could.
CREATE OR REPLACE FUNCTION interlock_stands_still(p workflows_steprun) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT 1 FROM workflows_steprun
         WHERE run_id = p.run_id AND path > p.path || '[' AND path < p.path || '[~' AND NOT superseded
           AND state NOT IN ('succeeded', 'skipped', 'failed', 'cancelled', 'pending'))
$$;

-- Whether something inside of a container, or of one of its items or turns, has not ended: one probe of a partial index.
-- Only where none of its own steps is open are those further in looked at: an attempt may still be out below one of
-- them that was cancelled.
CREATE OR REPLACE FUNCTION interlock_open_inside(p workflows_steprun, p_item integer) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_prefix text := p.path || CASE WHEN p.kind IN ('map', 'loop') THEN '[' ELSE '/' END
                     || coalesce(p_item || ']/', '');
    v_open boolean;
BEGIN
    IF p_item IS NULL THEN
        v_open := EXISTS (
            SELECT 1 FROM workflows_steprun WHERE parent_id = p.id AND NOT superseded
               AND state NOT IN ('succeeded', 'skipped', 'failed', 'cancelled'));
    ELSE
        v_open := EXISTS (
            SELECT 1 FROM workflows_steprun WHERE parent_id = p.id AND item = p_item AND NOT superseded
               AND state NOT IN ('succeeded', 'skipped', 'failed', 'cancelled'));
    END IF;
    RETURN v_open OR EXISTS (
        SELECT 1 FROM workflows_steprun
         WHERE run_id = p.run_id AND path > v_prefix AND path < v_prefix || '~' AND NOT superseded
           AND state NOT IN ('succeeded', 'skipped', 'failed', 'cancelled'));
END $$;
