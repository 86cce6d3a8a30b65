-- Mark the runs that used what a quarantine names, and those that used what such runs left behind: memory that they
-- wrote, and their results (a parent's step, a cached result). Returns how many are new. Running it again marks what
-- came later.
CREATE OR REPLACE FUNCTION interlock_taint(p_quarantine bigint, p_kind text, p_refs text[], p_releases bigint[],
                                           p_provider text, p_model text, p_since timestamptz, p_until timestamptz)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_new integer;
BEGIN
    WITH RECURSIVE direct AS (
        SELECT run_id, step_run_id FROM workflows_lineage WHERE kind = p_kind AND ref = ANY (p_refs)
        UNION
        SELECT run_id, step_run_id FROM workflows_call
         WHERE provider = p_provider AND p_model IS NULL
           AND started_at >= coalesce(p_since, '-infinity') AND started_at < coalesce(p_until, 'infinity')
        UNION
        -- By the model where one is named: an index for what was asked for, and one for what answered instead.
        SELECT run_id, step_run_id FROM workflows_call
         WHERE model_requested = p_model AND provider = p_provider
           AND started_at >= coalesce(p_since, '-infinity') AND started_at < coalesce(p_until, 'infinity')
        UNION
        SELECT run_id, step_run_id FROM workflows_call
         WHERE model_returned = p_model AND NOT (model_returned = model_requested) AND provider = p_provider
           AND started_at >= coalesce(p_since, '-infinity') AND started_at < coalesce(p_until, 'infinity')
        UNION
        SELECT id, NULL::bigint FROM workflows_run WHERE release_id = ANY (p_releases)
    ), tainted AS (
        SELECT run_id, step_run_id, ''::text AS via FROM direct
        UNION
        SELECT l.run_id, l.step_run_id, l.kind::text
          FROM tainted t
          CROSS JOIN LATERAL (
              SELECT 'run' AS kind, t.run_id::text AS ref
              UNION ALL
              SELECT 'memory', m.environment_id || '/' || m.scope || '/' || m.key || '@' || v.number
                FROM workflows_memoryversion v JOIN workflows_memory m ON m.id = v.memory_id
               WHERE v.run_id = t.run_id) AS left_behind
          JOIN workflows_lineage l ON l.kind = left_behind.kind AND l.ref = left_behind.ref
         WHERE l.run_id <> t.run_id
    ), marked AS (
        INSERT INTO workflows_taint (quarantine_id, run_id, path, via, marked_at)
        -- A path is looked up for each: beside a recursion, whose size nobody knows, a join would read every step run.
        SELECT p_quarantine, run_id,
               coalesce((SELECT s.path FROM workflows_steprun s WHERE s.id = first.step_run_id), ''),
               via, clock_timestamp()
          FROM (SELECT DISTINCT ON (run_id) run_id, step_run_id, via FROM tainted
                 ORDER BY run_id, step_run_id NULLS FIRST) AS first
        ON CONFLICT (quarantine_id, run_id) DO NOTHING
        RETURNING run_id)
    SELECT count(*) INTO v_new FROM marked;
    -- What tainted runs remembered counts no more while the quarantine holds.
    UPDATE workflows_memoryversion v SET quarantine_id = p_quarantine
      FROM workflows_taint t
     WHERE t.quarantine_id = p_quarantine AND v.run_id = t.run_id AND v.quarantine_id IS NULL;
    -- Nor does another step take what they left in the cache.
    DELETE FROM workflows_cachedresult c USING workflows_taint t
     WHERE t.quarantine_id = p_quarantine AND c.run_id = t.run_id;
    RETURN v_new;
END $$;
