-- A doorbell was heard: take the best ready row, whichever rang. `p_idle`: no other step runs in this process,
-- so that a row which must run alone may be taken.
CREATE FUNCTION interlock_claim(p_worker text, p_lease uuid, p_lease_s float8, p_idle boolean)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_step bigint;
BEGIN
    SELECT s.id INTO v_step
      FROM workflows_steprun s JOIN workflows_run r ON r.id = s.run_id
     WHERE s.state = 'ready' AND r.state IN ('queued', 'running', 'waiting') AND r.stopping = ''
       AND (p_idle OR NOT s.alone)
     ORDER BY s.priority, s.ready_at, s.id
     LIMIT 1
       FOR UPDATE OF s SKIP LOCKED;
    IF v_step IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN interlock_begin(v_step, p_worker, p_lease, p_lease_s);
END $$;
