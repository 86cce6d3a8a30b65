"""What the ended runs of a rollout show, release by release, over those created since its weight was set.

May not: judge it. A run counts once it has succeeded or failed, as it ended the first time: a failed one that somebody
led on stays a failure, however it ends then, and its time and cost say nothing. Nor does one that was cancelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from workflows import database
from workflows.models import Rollout
from workflows.models.rollouts import CANDIDATE, STABLE
from workflows.releases.judging import Arm, Figures, latency_bound_s
from workflows.releases.sequential import Sample, Tally
from workflows.spec.rollouts import Analysis

MOST_BEFORE: Final = 1_000

_INVALID: Final = """(EXISTS (
    SELECT FROM workflows_steprun AS step WHERE step.run_id = run.id AND step.state = 'failed'
       AND NOT step.superseded AND step.error ->> 'class' = 'schema_invalid') OR (led_on_from = 'failed' AND EXISTS (
    SELECT FROM workflows_attempt AS attempt WHERE attempt.run_id = run.id
       AND attempt.error ->> 'class' = 'schema_invalid')))"""
_COUNTS: Final = "(led_on_from = 'failed' OR (led_on_from = '' AND state IN ('succeeded', 'failed')))"
_FAILED: Final = "(led_on_from = 'failed' OR state = 'failed')"
_ARMS: Final = f"""
SELECT arm, count(*), count(*) FILTER (WHERE {_FAILED}), count(*) FILTER (WHERE $3 AND {_INVALID}),
       count(first.cost), coalesce(avg(first.cost), 0)::float8, coalesce(var_samp(first.cost), 0)::float8,
       count(first.lasted_s), percentile_disc(0.95) WITHIN GROUP (ORDER BY first.lasted_s)
  FROM workflows_run AS run
  CROSS JOIN LATERAL (SELECT CASE led_on_from WHEN '' THEN cost_usd END AS cost, CASE led_on_from WHEN ''
                      THEN extract(epoch FROM ended_at - started_at)::float8 END AS lasted_s) AS first
 WHERE rollout_id = $1 AND created_at >= $2 AND {_COUNTS}
 GROUP BY arm
"""  # noqa: S608  a constant
_SLOWER: Final = """
SELECT bound, count(*) FROM workflows_run AS run, unnest($3::float8[]) AS bound
 WHERE rollout_id = $1 AND arm = 'candidate' AND created_at >= $2 AND state IN ('succeeded', 'failed')
   AND led_on_from = '' AND extract(epoch FROM ended_at - started_at) > bound
 GROUP BY bound
"""
_KEYS: Final = """
SELECT count(DISTINCT sticky_hash), count(DISTINCT sticky_hash) FILTER (WHERE arm = 'candidate')
  FROM workflows_run WHERE rollout_id = $1 AND created_at >= $2
"""
_BEFORE: Final = f"""
SELECT count(*), count(*) FILTER (WHERE {_FAILED}), count(*) FILTER (WHERE {_INVALID}) FROM (
    SELECT id, state, led_on_from FROM workflows_run
     WHERE release_id = $1 AND environment_id = $2 AND parent_id IS NULL AND forked_from_id IS NULL
       AND {_COUNTS}
     ORDER BY created_at DESC, id DESC LIMIT $3) AS run
"""  # noqa: S608  a constant


def read(rollout: Rollout, analysis: Analysis) -> Figures:
    """Return what an analysis needs of both releases."""
    since = [rollout.pk, rollout.weight_at]
    asked = {limit.metric for limit in analysis.thresholds}
    arms = {row[0]: _arm(row) for row in database.fetch_all(_ARMS, [*since, "valid_output_rate" in asked])}
    stable = arms.get(STABLE, Arm())
    bounds = {
        bound_s
        for limit in analysis.thresholds
        if limit.metric == "latency_p95" and (bound_s := latency_bound_s(limit, stable)) is not None
    }
    slower = dict(database.fetch_all(_SLOWER, [*since, sorted(bounds)])) if bounds else {}
    return Figures(
        stable=stable,
        candidate=arms.get(CANDIDATE, Arm()),
        history=_history(rollout),
        slower=slower,
    )


def keys(rollout: Rollout) -> Tally:
    """Return how many different sticky values came, and how many of them got the candidate."""
    [(all_, candidate)] = database.fetch_all(_KEYS, [rollout.pk, rollout.weight_at])
    return Tally(all_, candidate)


def before(release: int, environment: str) -> dict[str, int]:
    """Return how the last runs of a release went: {runs, failed, invalid}."""
    [(runs, failed, invalid)] = database.fetch_all(_BEFORE, [release, environment, MOST_BEFORE])
    return {"runs": runs, "failed": failed, "invalid": invalid}


def _history(rollout: Rollout) -> Arm:
    known = rollout.history
    return Arm(runs=known.get("runs", 0), failed=known.get("failed", 0), invalid=known.get("invalid", 0))


def _arm(row: Sequence[Any]) -> Arm:
    _, runs, failed, invalid, priced, mean, variance, timed, p95_s = row
    return Arm(
        runs=runs,
        failed=failed,
        invalid=invalid,
        cost=Sample(priced, mean, variance),
        timed=timed,
        p95_s=p95_s,
    )
