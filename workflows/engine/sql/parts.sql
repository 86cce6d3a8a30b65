-- Parts of interlock_commit.

CREATE OR REPLACE FUNCTION interlock_add_tokens(p_sum jsonb, p_more jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_more IS NULL OR p_more = 'null'::jsonb THEN p_sum
                WHEN p_sum IS NULL THEN p_more
                ELSE (SELECT jsonb_object_agg(key, (value #>> '{}')::bigint + coalesce((p_sum ->> key)::bigint, 0))
                        FROM jsonb_each(p_more)) END;
$$;

-- A result that came after its lease was gone: recorded, never applied.
CREATE OR REPLACE FUNCTION interlock_late(c jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    s workflows_steprun;
BEGIN
    UPDATE workflows_steprun SET events = events + 1 WHERE id = (c ->> 'step')::bigint RETURNING * INTO s;
    INSERT INTO workflows_journalevent (run_id, type, at, step, epoch, attempt, n, data)
    VALUES (s.run_id, 'attempt.late', clock_timestamp(), s.path, s.epoch, (c ->> 'number')::integer, s.events,
            jsonb_build_object('outcome', c -> 'outcome', 'output', c -> 'output', 'error', c -> 'error'));
    RETURN jsonb_build_object('applied', false, 'next', NULL, 'ready', '[]'::jsonb, 'ended', false,
                              'stopping', '');
END $$;

-- Rows below a container (`p_parent`). Roots that are not held are ready at once, unless the run is paused
-- (`p_quiet`); they are returned in order.
CREATE OR REPLACE FUNCTION interlock_add_children(
    s workflows_steprun, p_parent bigint, p_children jsonb, p_quiet boolean)
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_ready bigint[];
BEGIN
    WITH added AS (
        INSERT INTO workflows_steprun
            (run_id, path, step_id, kind, epoch, superseded, ordinal, parent_id, item, item_hash, lane, state, reason,
             waiting_on, held, settling, at_end, alone, priority, ready_at, rings, sent, attempts_made, failures, losses,
             events)
        SELECT s.run_id, x.path, x.step_id, x.kind, s.epoch, false, x.ordinal, p_parent, x.item,
               decode(x.item_hash, 'hex'), s.lane,
               CASE WHEN x.waiting_on = 0 AND NOT x.held AND NOT p_quiet THEN 'ready' ELSE 'pending' END, '',
               x.waiting_on, x.held, false, s.at_end, false, s.priority,
               CASE WHEN x.waiting_on = 0 AND NOT x.held AND NOT p_quiet THEN clock_timestamp() END, 0, false, 0, 0, 0, 0
          FROM jsonb_to_recordset(p_children) AS x(
               path text, step_id text, kind text, ordinal integer, item integer, item_hash text,
               waiting_on integer, held boolean)
        RETURNING id, state)
    SELECT coalesce(array_agg(id ORDER BY id) FILTER (WHERE state = 'ready'), '{}') INTO v_ready FROM added;
    RETURN v_ready;
END $$;

-- A need is done: count down its successors, in id order so that two finishers cannot deadlock.
-- `p_begin`: the caller begins the first of those returned itself; it is left as it is, and so written once less.
-- `p_quiet`: the run is paused; what could start stays pending, with nothing left to wait on.
CREATE OR REPLACE FUNCTION interlock_release(p_run text, p_paths jsonb, p_begin boolean, p_quiet boolean)
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_row record;
    v_ready bigint[] := '{}';
    v_paths text[] := ARRAY(SELECT jsonb_array_elements_text(p_paths));
BEGIN
    FOR v_row IN
        SELECT id, waiting_on FROM workflows_steprun
         WHERE run_id = p_run AND NOT superseded AND state = 'pending' AND path = ANY (v_paths)
         ORDER BY id FOR UPDATE
    LOOP
        IF v_row.waiting_on > 1 OR p_quiet THEN
            UPDATE workflows_steprun SET waiting_on = greatest(waiting_on - 1, 0) WHERE id = v_row.id;
            CONTINUE;
        END IF;
        IF NOT p_begin OR cardinality(v_ready) > 0 THEN
            UPDATE workflows_steprun SET waiting_on = 0, state = 'ready', ready_at = clock_timestamp()
             WHERE id = v_row.id;
        END IF;
        v_ready := v_ready || v_row.id;
    END LOOP;
    RETURN v_ready;
END $$;

-- A final failure, as far up as nobody absorbs it. `container` null: the run stops. Otherwise that container
-- gets the error and settles once its running children have ended; `prefix` says what below it is cancelled.
CREATE OR REPLACE FUNCTION interlock_fail_scope(p_run text, p_step bigint, p_fails jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_at_end boolean;
BEGIN
    SELECT coalesce((SELECT at_end FROM workflows_steprun WHERE id = p_step), false) INTO v_at_end;
    IF p_fails ->> 'scope' = 'run' THEN
        UPDATE workflows_run SET stopping = 'failed', error = p_fails -> 'error'
         WHERE id = p_run AND stopping = '' AND state IN ('queued', 'running', 'waiting', 'paused');
        PERFORM interlock_cancel_open(p_run, '', p_step, v_at_end);
        RETURN;
    END IF;
    IF p_fails ->> 'scope' = 'container' THEN
        UPDATE workflows_steprun SET error = p_fails -> 'error'
         WHERE run_id = p_run AND path = p_fails ->> 'container' AND NOT superseded AND state = 'waiting';
    END IF;
    PERFORM interlock_cancel_open(p_run, p_fails ->> 'prefix', p_step, v_at_end);
END $$;
