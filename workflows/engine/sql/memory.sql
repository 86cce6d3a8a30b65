-- The row of a key, made if it is not there: a read of nothing is pinned too.
CREATE OR REPLACE FUNCTION interlock_memory(p_environment text, p_scope text, p_key text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    LOOP
        SELECT id INTO v_id FROM workflows_memory
         WHERE environment_id = p_environment AND scope = p_scope AND key = p_key;
        IF FOUND THEN
            RETURN v_id;
        END IF;
        INSERT INTO workflows_memory (environment_id, scope, key, head, updated_at)
        VALUES (p_environment, p_scope, p_key, 0, clock_timestamp()) ON CONFLICT DO NOTHING;
    END LOOP;
END $$;

-- What a run sees of a key: its first look fixes a version, its own changes come on top. `p_run` NULL: the newest.
-- Returns {version, head, expected, entries: [[number, operation, hash]]} from the last write on, oldest first;
-- `expected`: what the head has to be for a change on what was seen; -1 where somebody else has changed it since.
CREATE OR REPLACE FUNCTION interlock_memory_read(p_environment text, p_scope text, p_key text, p_run text)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := interlock_memory(p_environment, p_scope, p_key);
    v_head integer;
    v_pin integer;
    v_base integer;
    v_entries jsonb;
    v_version integer;
    v_expected integer;
BEGIN
    SELECT head INTO v_head FROM workflows_memory WHERE id = v_id;
    v_pin := v_head;
    IF p_run IS NOT NULL THEN
        INSERT INTO workflows_memorypin (run_id, memory_id, number) VALUES (p_run, v_id, v_head)
        ON CONFLICT (run_id, memory_id) DO NOTHING;
        SELECT number INTO v_pin FROM workflows_memorypin WHERE run_id = p_run AND memory_id = v_id;
    END IF;
    SELECT coalesce(max(number), 0) INTO v_base FROM workflows_memoryversion
     WHERE memory_id = v_id AND operation <> 'append' AND (number <= v_pin OR run_id = p_run) AND quarantine_id IS NULL;
    SELECT coalesce(jsonb_agg(jsonb_build_array(number, operation, encode(value_hash, 'hex')) ORDER BY number), '[]'),
           max(number)
      INTO v_entries, v_version
      FROM workflows_memoryversion
     WHERE memory_id = v_id AND number >= v_base AND (number <= v_pin OR run_id = p_run) AND quarantine_id IS NULL
       AND (expires_at IS NULL OR expires_at > clock_timestamp());
    IF p_run IS NOT NULL AND EXISTS (
        SELECT 1 FROM workflows_memoryversion
         WHERE memory_id = v_id AND number > v_pin AND number <= v_head AND run_id IS DISTINCT FROM p_run) THEN
        v_expected := -1;
    ELSE
        v_expected := v_head;
    END IF;
    RETURN jsonb_build_object('version', greatest(coalesce(v_version, 0), least(v_pin, v_head)), 'head', v_head,
                              'expected', v_expected, 'entries', v_entries);
END $$;

-- Change a key. `p_expected`: the version that it must have now, NULL for any. A step's second try gets what its first
-- wrote. Returns {number} or {head} where somebody else was there.
CREATE OR REPLACE FUNCTION interlock_memory_change(
    p_environment text, p_scope text, p_key text, p_operation text, p_value text, p_expected integer, p_run text,
    p_path text, p_epoch integer, p_actor text, p_reason text, p_expires_s float8,
    p_hashes bytea[], p_sizes integer[], p_compressed boolean[], p_bodies bytea[])
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := interlock_memory(p_environment, p_scope, p_key);
    v_head integer;
    v_number integer;
BEGIN
    SELECT head INTO v_head FROM workflows_memory WHERE id = v_id FOR UPDATE;
    IF p_run IS NOT NULL THEN
        SELECT number INTO v_number FROM workflows_memoryversion
         WHERE run_id = p_run AND path = p_path AND epoch = p_epoch;
        IF FOUND THEN
            RETURN jsonb_build_object('number', v_number);
        END IF;
    END IF;
    IF p_expected IS NOT NULL AND p_expected <> v_head THEN
        RETURN jsonb_build_object('head', v_head);
    END IF;
    PERFORM interlock_keep(p_hashes, p_sizes, p_compressed, p_bodies) WHERE cardinality(p_hashes) > 0;
    INSERT INTO workflows_memoryversion
        (memory_id, number, operation, value_hash, run_id, path, epoch, actor, reason, created_at, expires_at)
    VALUES (v_id, v_head + 1, p_operation, decode(p_value, 'hex'), p_run, p_path, p_epoch, p_actor, p_reason,
            clock_timestamp(), clock_timestamp() + make_interval(secs => p_expires_s));
    UPDATE workflows_memory SET head = v_head + 1, updated_at = clock_timestamp() WHERE id = v_id;
    RETURN jsonb_build_object('number', v_head + 1);
END $$;
