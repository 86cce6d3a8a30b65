-- A history of runs, for console_data.py: each part is one statement, run in chunks of runs.

-- run_id
-- As the product makes ids: 43 bits of milliseconds, 22 that tell two of one millisecond apart.
CREATE OR REPLACE FUNCTION pg_temp.run_id(at timestamptz, n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'r_' || string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz',
               1 + ((((extract(epoch FROM at) * 1000)::bigint << 22) | (n & 4194303)) >> (5 * place) & 31)::int, 1),
               '' ORDER BY place DESC)
      FROM generate_series(0, 12) place
$$

-- made
-- What is drawn by chance, a run a row, oldest first, as they would have come. `r…` are even chances, 0 to 1.
CREATE TEMP TABLE made AS
SELECT n::bigint AS n, pg_temp.run_id(at, n) AS id, at, now() - at AS age, r1, r2, r3, r4, r5, r6,
       1 + floor(%(workflows)s * r1 * r1)::int AS workflow,
       CASE WHEN now() - at < interval '10 minutes' THEN
                CASE WHEN r2 < 0.15 THEN 'queued' WHEN r2 < 0.7 THEN 'running' ELSE 'waiting' END
            WHEN r2 < 0.0001 THEN 'waiting' WHEN r2 < 0.07 THEN 'failed'
            WHEN r2 < 0.09 THEN 'cancelled' ELSE 'succeeded' END AS state,
       interval '1 second' * (0.8 + 6 * -ln(1 - r3 * 0.9999)) AS took,
       1 + floor(%(steps)s * r4)::int AS stands_at
  FROM (SELECT n, now() - interval '1 day' * %(days)s * power((%(runs)s - n + r0) / %(runs)s, 1.1) AS at,
               r1, r2, r3, r4, r5, r6
          FROM (SELECT n, random() AS r0, random() AS r1, random() AS r2, random() AS r3, random() AS r4,
                       random() AS r5, random() AS r6
                  FROM generate_series(%(first)s, %(last)s) n) chances) times

-- runs
INSERT INTO workflows_run (id, workflow, environment_id, release_id, state, stopping, title, trigger, created_by,
    session, tags, priority, pins, variables, input_hash, output_hash, error, idempotency_key, events, created_at,
    started_at, ended_at, cost_usd, tokens)
SELECT made.id, release.workflow, CASE WHEN r5 < 0.9 THEN 'production' ELSE 'staging' END, release.id, state, '',
       CASE WHEN r6 < 0.6 THEN format((ARRAY['Refund for order %%s', 'Claim %%s: water damage', 'Question from customer %%s',
           'Invoice %%s of Meier & Söhne', 'Contract %%s, second reading', 'Summary of call %%s'])[1 + floor(6 * r3)::int],
           n * 7919 %% 1000003) ELSE '' END,
       (ARRAY['api', 'api', 'console', 'schedule'])[1 + floor(4 * r4)::int],
       (ARRAY['token:billing', 'marta.ferri', 'token:nightly', 'd.osei'])[1 + floor(4 * r4)::int],
       CASE WHEN r3 < 0.2 THEN 'customer-' || floor(r5 * 40000)::int END,
       CASE WHEN r5 < 0.7 THEN '{}'::text[] WHEN r5 < 0.72 THEN ARRAY['vip']
            ELSE ARRAY['nightly', 'customer:' || floor(r3 * 500)::int] END,
       5, '{"handbook": 3}', '{}', sha256(convert_to(
           format('{"question":"How do I settle case %%s, which began a week ago and is due?"}', n %% %(distinct)s), 'UTF8')),
       CASE WHEN state = 'succeeded' THEN sha256(convert_to(
           format('{"answer":"Case %%s is settled: pay within 14 days.","score":0.87}', n %% %(distinct)s), 'UTF8')) END,
       CASE WHEN state = 'failed' THEN jsonb_build_object('class', fault[1], 'message', format(fault[2], n %% 9973),
           'step', (%(paths)s::text[])[1 + (stands_at - 1) %% array_length(%(paths)s::text[], 1)]) END,
       CASE WHEN r4 < 0.5 THEN 'job-' || n END, 3, at,
       CASE WHEN state <> 'queued' THEN at + interval '40 ms' END,
       CASE WHEN state IN ('succeeded', 'failed', 'cancelled') THEN at + took END,
       CASE WHEN state IN ('succeeded', 'failed', 'cancelled') THEN (0.0004 / (1.0001 - r6))::numeric(20, 10) END,
       CASE WHEN state IN ('succeeded', 'failed', 'cancelled') THEN jsonb_build_object('input', (400 + 4000 * r6)::int,
           'cached', 0, 'output', (30 + 400 * r3)::int, 'reasoning', 0) END
  FROM made
  JOIN workflows_release release ON release.workflow = (%(names)s::text[])[made.workflow]
   AND release.number = %(releases)s - (CASE WHEN age > interval '30 days' THEN 2 WHEN age > interval '3 days' THEN 1 ELSE 0 END)
 CROSS JOIN LATERAL (SELECT (ARRAY[['timeout', 'No answer within 30 s from attempt %%s'],
           ['server_error', '503 upstream connect timeout, request %%s'], ['rate_limited', '429 rate limit reached for key %%s'],
           ['schema', 'Output does not match the schema: amount of position %%s is missing']])
           [1 + floor(4 * r5)::int : 1 + floor(4 * r5)::int] AS row) chosen
 CROSS JOIN LATERAL (SELECT ARRAY(SELECT unnest(chosen.row)) AS fault) faults
 ORDER BY n

-- steps
INSERT INTO workflows_steprun (run_id, path, step_id, kind, epoch, superseded, ordinal, state, reason, waiting_on, held,
    settling, alone, priority, rings, sent, attempts_made, failures, losses, events, ready_at, wake_at, lease, lease_until,
    input_hash, output_hash, error, started_at, ended_at, cost_usd, tokens)
SELECT run.id, name || CASE WHEN place > names THEN format('[%%s]', place / names) ELSE '' END, name, kind, 1, false, place,
       step.state, CASE WHEN step.state = 'waiting' THEN 'retry' ELSE '' END, 0, false, false, false, 5, 0, false,
       (began)::int, CASE WHEN step.state IN ('failed', 'waiting') THEN 3 ELSE 0 END, 0, 1,
       CASE WHEN step.state = 'ready' THEN now() END,
       CASE WHEN step.state = 'waiting' THEN now() + interval '1 hour' END,
       CASE WHEN step.state = 'running' THEN gen_random_uuid() END,
       CASE WHEN step.state = 'running' THEN now() + interval '1 hour' END,
       CASE WHEN began THEN run.input_hash END, CASE WHEN step.state = 'succeeded' THEN run.output_hash END,
       CASE WHEN step.state = 'failed' THEN run.error - 'step' WHEN step.state = 'waiting' THEN
           '{"class": "server_error", "message": "503 upstream connect timeout"}'::jsonb END,
       CASE WHEN began THEN at + took * (place - 1) / %(steps)s END,
       CASE WHEN began AND step.state NOT IN ('running', 'waiting') THEN at + took * place / %(steps)s END,
       CASE WHEN kind = 'prompt' AND began THEN 0.0002 END,
       CASE WHEN kind = 'prompt' AND began THEN '{"input": 410, "cached": 0, "output": 58, "reasoning": 0}'::jsonb END
  FROM made JOIN workflows_run run USING (id)
 CROSS JOIN generate_series(1, %(steps)s) place
 CROSS JOIN LATERAL (SELECT array_length(%(paths)s::text[], 1) AS names) counted
 CROSS JOIN LATERAL (SELECT (%(paths)s::text[])[1 + (place - 1) %% names] AS name,
                            (%(kinds)s::text[])[1 + (place - 1) %% names] AS kind) named
 CROSS JOIN LATERAL (SELECT CASE
       WHEN made.state = 'succeeded' OR place < stands_at AND made.state <> 'queued' THEN 'succeeded'
       WHEN made.state = 'queued' THEN CASE WHEN place = 1 THEN 'ready' ELSE 'pending' END
       WHEN made.state IN ('failed', 'cancelled') THEN CASE WHEN place = stands_at THEN made.state ELSE 'cancelled' END
       WHEN place > stands_at THEN 'pending'
       WHEN made.state = 'waiting' AND age > interval '10 minutes' THEN 'unknown'
       ELSE made.state END AS state) step
 CROSS JOIN LATERAL (SELECT step.state IN ('succeeded', 'failed', 'running', 'waiting', 'unknown') AS began) begun
 ORDER BY n, place

-- journal
-- The run's own events alone.
INSERT INTO workflows_journalevent (run_id, type, at, n, data)
SELECT id, 'run.' || event, at + took * (number - 1) / 3, number, '{"by": "marta.ferri"}' FROM made
 CROSS JOIN LATERAL (VALUES (1, 'created'), (2, 'started'), (3, state)) each(number, event)
 WHERE number < 3 OR state IN ('succeeded', 'failed', 'cancelled') ORDER BY n, number

-- attempts
INSERT INTO workflows_attempt (step_run_id, run_id, number, state, worker, lease, alone, started_at, ended_at, error)
SELECT step.id, step.run_id, 1, CASE WHEN step.state IN ('waiting', 'unknown') THEN 'failed' ELSE step.state END,
       'host-1:4711:ab12', gen_random_uuid(), false, step.started_at, step.ended_at, step.error
  FROM made JOIN workflows_steprun step ON step.run_id = made.id
 WHERE made.n > %(detailed)s AND step.started_at IS NOT NULL ORDER BY step.id

-- calls
INSERT INTO workflows_call (run_id, step_run_id, attempt, number, state, provider, provider_version, model_requested,
    model_returned, request_hash, response_hash, finish_reason, usage, cost_usd, price_version, timing_ms, error,
    started_at, ended_at)
SELECT step.run_id, step.id, 1, 0, 'done', CASE WHEN r5 < 0.7 THEN 'openai-eu' ELSE 'anthropic' END, 1, 'small-1', 'small-1-0711',
       step.input_hash, step.output_hash, 'stop', '{"input": 410, "cached": 0, "output": 58, "source": "provider"}', 0.0002,
       '', '{"queue": 12, "first_token": 310, "total": 1480}', NULL, step.started_at, coalesce(step.ended_at, step.started_at)
  FROM made JOIN workflows_steprun step ON step.run_id = made.id
 WHERE made.n > %(detailed)s AND step.kind = 'prompt' AND step.started_at IS NOT NULL ORDER BY step.id

-- payloads
-- Inputs and outputs, in canonical JSON; hundreds of thousands, not one a run.
INSERT INTO workflows_payload (hash, size, compressed, body)
SELECT sha256(body), length(body), false, body FROM (
    SELECT convert_to(format(form, n), 'UTF8') AS body FROM generate_series(0, %(distinct)s - 1) n
     CROSS JOIN (VALUES ('{"question":"How do I settle case %%s, which began a week ago and is due?"}'),
                        ('{"answer":"Case %%s is settled: pay within 14 days.","score":0.87}')) forms(form)) bodies

-- forgotten
DROP TABLE made
