-- Let the next held item of a map go. `p_gate` is the ordinal of the item's first root: whoever locks that row
-- lets the whole item go, so that two finishers never release the same item. It is the first of those returned;
-- with `p_begin` it is left as it is, for the caller to begin: one row version less for each item. `p_quiet`: the run is paused.
CREATE OR REPLACE FUNCTION interlock_next_item(p_parent bigint, p_gate integer, p_begin boolean, p_quiet boolean)
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_item integer;
    v_gate bigint;
    v_ready bigint[];
BEGIN
    SELECT item, id INTO v_item, v_gate FROM workflows_steprun
     WHERE parent_id = p_parent AND held AND state = 'pending' AND ordinal = p_gate AND NOT superseded
     ORDER BY item LIMIT 1
       FOR UPDATE SKIP LOCKED;
    IF v_item IS NULL THEN
        RETURN '{}';
    END IF;
    WITH released AS (
        UPDATE workflows_steprun
           SET held = false, state = CASE WHEN p_quiet THEN 'pending' ELSE 'ready' END,
               ready_at = CASE WHEN p_quiet THEN NULL ELSE clock_timestamp() END
         WHERE parent_id = p_parent AND item = v_item AND held AND state = 'pending' AND NOT superseded
           AND NOT (p_begin AND id = v_gate)
        RETURNING id, ordinal)
    SELECT array_agg(id ORDER BY ordinal) INTO v_ready FROM released;
    IF p_quiet THEN
        RETURN '{}';
    END IF;
    RETURN CASE WHEN p_begin THEN v_gate || coalesce(v_ready, '{}') ELSE v_ready END;
END $$;
