-- Renew leases and say that this worker is alive. Returns the leases that still hold and whose run goes on, and
-- those whose run is stopping. A heartbeat that is lost in a crash costs nothing: it need not reach the disk.
CREATE OR REPLACE FUNCTION interlock_heartbeat(p_worker text, p_host text, p_pid integer, p_threads integer,
                                    p_draining boolean, p_leases uuid[], p_lease_s float8)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_kept jsonb;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO workflows_worker AS w (id, host, pid, threads, draining, started_at, seen_at)
    VALUES (p_worker, p_host, p_pid, p_threads, p_draining, clock_timestamp(), clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), draining = p_draining;
    WITH kept AS (
        UPDATE workflows_steprun SET lease_until = clock_timestamp() + make_interval(secs => p_lease_s)
         WHERE state = 'running' AND lease = ANY (p_leases)
        RETURNING lease)
    SELECT coalesce(jsonb_agg(lease), '[]') INTO v_kept FROM kept;
    RETURN v_kept;
END $$;

-- Which of these runs are to stop: asked every second by workers that run something.
CREATE OR REPLACE FUNCTION interlock_stopping(p_runs text[]) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(id), '[]') FROM workflows_run
     WHERE id = ANY (p_runs) AND (stopping = 'cancelled' OR state = 'cancelled');
$$;

-- The mark before a `once` effect leaves: durable, and only while the lease holds.
CREATE OR REPLACE FUNCTION interlock_sending(p_step bigint, p_lease uuid, p_data jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    s workflows_steprun;
BEGIN
    UPDATE workflows_steprun SET sent = true, events = events + 1
     WHERE id = p_step AND state = 'running' AND lease = p_lease
       AND lease_until > clock_timestamp()
    RETURNING * INTO s;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO workflows_journalevent (run_id, type, at, step, epoch, attempt, n, data)
    VALUES (s.run_id, 'step.sending', clock_timestamp(), s.path, s.epoch, s.attempts_made, s.events, p_data);
    RETURN true;
END $$;

-- An attempt is over without a result: `lost` (its lease ran out) or `interrupted` (its worker gave it back).
-- What may have had an outside effect becomes unknown, everything else is ready again at once.
-- The second loss makes a step run alone; a loss while alone condemns it.
CREATE OR REPLACE FUNCTION interlock_give_up(p_step bigint, p_how text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    s workflows_steprun;
    a workflows_attempt;
    v_stopping text;
    v_quiet boolean;
    v_state text;
BEGIN
    SELECT * INTO s FROM workflows_steprun WHERE id = p_step FOR UPDATE;
    SELECT CASE WHEN s.at_end THEN '' ELSE stopping END, interlock_quiet(s.run_id, s.at_end) INTO v_stopping, v_quiet
      FROM workflows_run WHERE id = s.run_id;
    UPDATE workflows_attempt SET state = p_how, ended_at = clock_timestamp()
     WHERE step_run_id = s.id AND number = s.attempts_made AND state = 'running'
    RETURNING * INTO a;
    v_state := CASE WHEN s.sent THEN 'unknown' WHEN v_stopping <> '' OR s.reason = 'over' THEN 'cancelled'
               WHEN v_quiet THEN 'pending' ELSE 'ready' END;
    UPDATE workflows_steprun
       SET state = v_state, lease = NULL, lease_until = NULL, sent = false, events = events + 1,
           reason = CASE WHEN v_state IN ('ready', 'pending') AND p_how = 'lost' AND a.alone THEN 'poison' ELSE p_how END,
           losses = losses + (p_how = 'lost')::integer,
           alone = alone OR (p_how = 'lost' AND losses + 1 >= 2),
           ready_at = CASE WHEN v_state = 'ready' THEN clock_timestamp() ELSE ready_at END,
           ended_at = CASE WHEN v_state = 'cancelled' THEN clock_timestamp() END
     WHERE id = s.id
    RETURNING * INTO s;
    INSERT INTO workflows_journalevent (run_id, type, at, step, epoch, attempt, n, data)
    VALUES (s.run_id, 'attempt.' || p_how, clock_timestamp(), s.path, s.epoch, s.attempts_made, s.events,
            jsonb_build_object('state', v_state));
    RETURN jsonb_build_object('step', s.id, 'run', s.run_id, 'parent', s.parent_id, 'item', s.item,
                              'path', s.path, 'state', v_state);
END $$;

CREATE OR REPLACE FUNCTION interlock_expire(p_limit integer, p_quiet_s float8) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_step bigint;
    v_gone jsonb := '[]';
BEGIN
    -- After an outage of the database nobody could renew: nothing expires until one lease period later.
    IF pg_postmaster_start_time() > clock_timestamp() - make_interval(secs => p_quiet_s) THEN
        RETURN v_gone;
    END IF;
    FOR v_step IN
        SELECT id FROM workflows_steprun WHERE state = 'running' AND lease_until < clock_timestamp()
         ORDER BY lease_until LIMIT p_limit FOR UPDATE SKIP LOCKED
    LOOP
        v_gone := v_gone || interlock_give_up(v_step, 'lost');
    END LOOP;
    RETURN v_gone;
END $$;

-- A worker that shuts down hands back what it could not finish in time.
CREATE OR REPLACE FUNCTION interlock_hand_back(p_leases uuid[]) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_step bigint;
    v_gone jsonb := '[]';
BEGIN
    FOR v_step IN
        SELECT id FROM workflows_steprun WHERE state = 'running' AND lease = ANY (p_leases)
         ORDER BY id FOR UPDATE
    LOOP
        v_gone := v_gone || interlock_give_up(v_step, 'interrupted');
    END LOOP;
    RETURN v_gone;
END $$;
