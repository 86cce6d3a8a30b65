-- Store payloads under their hashes. In plpgsql, which keeps its plan from call to call.
-- Touching one that is used again keeps collection from racing with it.
CREATE OR REPLACE FUNCTION interlock_keep(p_hashes bytea[], p_sizes integer[], p_compressed boolean[], p_bodies bytea[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO workflows_payload AS p (hash, size, compressed, body, touched_at)
    SELECT *, clock_timestamp() FROM unnest(p_hashes, p_sizes, p_compressed, p_bodies)
     ORDER BY 1
    ON CONFLICT (hash) DO UPDATE SET touched_at = clock_timestamp()
     WHERE p.touched_at < clock_timestamp() - interval '12 hours';
END $$;
