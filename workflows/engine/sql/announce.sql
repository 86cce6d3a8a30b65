-- The outbox: an event and its deliveries to the webhooks that listen, in the transaction of what happened.
-- Without a webhook that costs one look at an empty table. `p_data`: what the event tells; of a run NULL, since
-- it is put together here only where somebody listens: never its input or output.
CREATE OR REPLACE FUNCTION interlock_announce(p_type text, p_subject text, p_data jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_event text;
BEGIN
    IF NOT EXISTS (SELECT FROM workflows_webhook WHERE disabled_at IS NULL) THEN
        RETURN;
    END IF;
    IF p_data IS NULL THEN
        p_data := interlock_run_told(p_subject);
        IF p_data IS NULL THEN
            RETURN;
        END IF;
    END IF;
    v_event := 'evt_' || replace(gen_random_uuid()::text, '-', '');
    WITH addressed AS (
        INSERT INTO workflows_delivery
            (webhook, event_id, state, created_at, next_at, gives_up_at, attempts_made, attempts_before, error)
        SELECT name, v_event, 'pending', clock_timestamp(), clock_timestamp(),
               clock_timestamp() + interval '1 day', 0, 0, ''
          FROM workflows_webhook
         WHERE disabled_at IS NULL AND EXISTS (
               SELECT FROM unnest(events) AS pattern
                WHERE pattern IN ('*', p_type)
                   OR (pattern LIKE '%.*' AND starts_with(p_type, left(pattern, -1))))
        RETURNING 1)
    INSERT INTO workflows_event (id, type, subject, at, data)
    SELECT v_event, p_type, p_subject, clock_timestamp(), p_data WHERE EXISTS (SELECT FROM addressed);
END $$;

-- What a webhook is told of a run. NULL for the product's own workflows, which nobody else has to hear of.
CREATE OR REPLACE FUNCTION interlock_run_told(p_run text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('run', jsonb_build_object(
        'id', r.id, 'title', r.title, 'trigger', r.trigger, 'workflow', r.workflow, 'release', v.number,
        'environment', r.environment_id, 'state', r.state, 'session', r.session, 'tags', to_jsonb(r.tags),
        'error', r.error, 'created_by', r.created_by, 'created_at', r.created_at, 'started_at', r.started_at,
        'ended_at', r.ended_at, 'cost_usd', r.cost_usd::text, 'tokens', r.tokens, 'parent', r.parent_id))
      FROM workflows_run r JOIN workflows_release v ON v.id = r.release_id
     WHERE r.id = p_run AND NOT starts_with(r.workflow, 'interlock-');
$$;
