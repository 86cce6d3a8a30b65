-- Provider calls: the intent before the socket is written, the record after. Neither has to reach the disk before
-- the call goes on: a crash of the whole database may forget a call's record, never a step's outcome.
CREATE OR REPLACE FUNCTION interlock_call_sending(c jsonb, p_hashes bytea[], p_sizes integer[], p_compressed boolean[],
                                       p_bodies bytea[])
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM interlock_keep(p_hashes, p_sizes, p_compressed, p_bodies);
    INSERT INTO workflows_call (run_id, step_run_id, attempt, number, state, provider, provider_version,
                                model_requested, model_returned, request_hash, finish_reason, price_version,
                                started_at)
    VALUES (c ->> 'run', (c ->> 'step')::bigint, (c ->> 'attempt')::integer, (c ->> 'number')::integer, 'sending',
            c ->> 'provider', (c ->> 'provider_version')::integer, c ->> 'model_requested', '',
            decode(c ->> 'request', 'hex'), '', '', clock_timestamp())
    RETURNING id INTO v_id;
    RETURN v_id;
END $$;

CREATE OR REPLACE FUNCTION interlock_call_done(p_id bigint, c jsonb, p_hashes bytea[], p_sizes integer[],
                                    p_compressed boolean[], p_bodies bytea[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM interlock_keep(p_hashes, p_sizes, p_compressed, p_bodies);
    UPDATE workflows_call
       SET state = 'done', model_returned = coalesce(c ->> 'model_returned', ''),
           response_hash = decode(c ->> 'response', 'hex'), answer_hash = decode(c ->> 'answer', 'hex'),
           finish_reason = coalesce(c ->> 'finish_reason', ''), usage = c -> 'usage',
           cost_usd = (c ->> 'cost_usd')::numeric,
           price_version = coalesce(c ->> 'price_version', ''), timing_ms = c -> 'timing_ms',
           error = CASE WHEN c -> 'error' = 'null'::jsonb THEN NULL ELSE c -> 'error' END,
           ended_at = clock_timestamp()
     WHERE id = p_id;
END $$;
