"""What waits for a person: one entry for each kind of trouble, with its number, its oldest, and where to look.

Raw SQL, every statement bounded: through a partial index, or over the newest rows only. May not change anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from workflows.queries.run_matching import STUCK_OVERDUE, STUCK_READY

COUNT_LIMIT: Final = 10_000
PROVIDER_WINDOW: Final = timedelta(minutes=15)
_CALLS: Final = 5_000
_CALLS_AT_LEAST: Final = 5
_SHARE: Final = 0.1
_CORPORA: Final = 3
_LATELY: Final = timedelta(hours=24)
_FAILS_FOR: Final = timedelta(minutes=5)
_WORKER_SEEN: Final = timedelta(seconds=60)

# How much one of them hurts: an outcome that nobody knows, or a run that stands still, before a failed one.
WEIGHTS: Final = {
    "workers": 50.0,
    "unknown": 10.0,
    "stuck": 10.0,
    "provider": 5.0,
    "schedule": 5.0,
    "webhook": 2.0,
    "approval": 2.0,
    "failed": 1.0,
    "documents": 0.5,
}


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """One kind of trouble. `ref` names the run, the corpus, the schedule or the webhook where it is one.

    Of a provider: `share` of its calls failed (0 to 1), mostly with `error_class`; `ref` and `step` name the newest.
    """

    kind: str
    count: int
    oldest: datetime
    ref: str = ""
    step: str = ""
    provider: str = ""
    share: float = 0.0
    error_class: str = ""

    @property
    def capped(self) -> bool:
        """Say whether there may be more than were counted."""
        return self.count >= COUNT_LIMIT

    def urgency(self, now: datetime) -> float:
        """Return age times impact: a minute counts as the least age."""
        age_s = max((now - self.oldest).total_seconds(), 60.0)
        return age_s * self.count * WEIGHTS[self.kind]


_FAILED: Final = """
SELECT count(*), min(created_at), min(id) FROM (
    SELECT id, created_at FROM workflows_run
    WHERE state = 'failed' AND created_at >= %(since)s AND environment_id <> 'imported'
    ORDER BY created_at DESC, id DESC LIMIT %(limit)s) AS newest
"""
_UNKNOWN: Final = """
SELECT count(DISTINCT run_id), min(ended), min(run_id), min(path) FROM (
    SELECT run_id, coalesce(ended_at, started_at, now()) AS ended, path FROM workflows_steprun
    WHERE state = 'unknown' AND NOT superseded LIMIT %(limit)s) AS unknown
"""
# Something is due and nobody does it: a ready step that no worker takes, a lease that ran out and was not given up,
# a timer that has passed. The same rule as the list's: run_matching.overdue_steps.
_STUCK: Final = """
WITH due AS (
    (SELECT run_id, ready_at AS since, path FROM workflows_steprun
     WHERE state = 'ready' AND ready_at < %(ready)s
       AND (NOT EXISTS (SELECT FROM workflows_pause) OR NOT interlock_paused(lane)) LIMIT %(limit)s)
    UNION ALL
    (SELECT run_id, lease_until, path FROM workflows_steprun
     WHERE state = 'running' AND lease_until < %(overdue)s LIMIT %(limit)s)
    UNION ALL
    (SELECT run_id, wake_at, path FROM workflows_steprun
     WHERE state = 'waiting' AND wake_at < %(overdue)s LIMIT %(limit)s))
SELECT count(DISTINCT due.run_id), min(since), min(due.run_id), min(path) FROM due
JOIN workflows_run AS run ON run.id = due.run_id AND run.state IN ('queued', 'running', 'waiting')
"""
# Calls have no index by time: their ids grow with it.
_PROVIDERS: Final = """
SELECT provider, count(*) AS calls, count(error) AS failed, min(started_at) FILTER (WHERE error IS NOT NULL),
       mode() WITHIN GROUP (ORDER BY error ->> 'class') FILTER (WHERE error IS NOT NULL),
       max(id) FILTER (WHERE error IS NOT NULL)
FROM (SELECT id, provider, error, started_at, state FROM workflows_call ORDER BY id DESC LIMIT %(calls)s) AS newest
WHERE started_at >= %(since)s AND state = 'done'
GROUP BY provider HAVING count(*) >= %(at_least)s AND count(error) >= %(share)s * count(*)
ORDER BY count(error) DESC, provider
"""
_CALLED_FROM: Final = """
SELECT call.id, call.run_id, step.path FROM workflows_call AS call
JOIN workflows_steprun AS step ON step.id = call.step_run_id WHERE call.id = ANY(%(ids)s)
"""
_DOCUMENTS: Final = """
SELECT corpus.name, count(*), min(document.updated_at) FROM retrieval_document AS document
JOIN retrieval_corpus AS corpus ON corpus.id = document.corpus_id
WHERE document.state = 'failed' GROUP BY corpus.name ORDER BY count(*) DESC, corpus.name LIMIT %(corpora)s
"""
# The last fire time had no run: it could not be started, or it was missed lately.
_SCHEDULES: Final = """
SELECT count(*), min(last.recorded_at), min(schedule.name) FROM workflows_schedule AS schedule
CROSS JOIN LATERAL (
    SELECT outcome, recorded_at FROM workflows_fire
    WHERE workflows_fire.schedule = schedule.name AND outcome <> 'due' ORDER BY fire_at DESC LIMIT 1) AS last
WHERE schedule.paused_at IS NULL
  AND (last.outcome = 'failed' OR (last.outcome = 'missed' AND last.recorded_at >= %(since)s))
"""
# Nothing has arrived for a while, or the endpoint said lately that it is gone.
_WEBHOOKS: Final = """
SELECT count(*), min(coalesce(failing_since, disabled_at)), min(name) FROM workflows_webhook
WHERE (disabled_at IS NULL AND failing_since < %(before)s)
   OR (disabled_by = 'system:interlock' AND disabled_at >= %(since)s)
"""
_APPROVALS: Final = """
SELECT count(*), min(requested_at), min(id)::text FROM (
    SELECT id, requested_at FROM workflows_approval WHERE closed_at IS NULL LIMIT %(limit)s) AS open
"""
_NO_WORKER: Final = """
SELECT count(*), min(created_at) FROM (
    SELECT created_at FROM workflows_run
    WHERE ended_at IS NULL AND state <> 'paused' ORDER BY created_at LIMIT %(limit)s) AS open
WHERE NOT EXISTS (SELECT FROM workflows_worker WHERE seen_at > %(seen)s AND NOT draining)
"""


def troubles(*, since: datetime, now: datetime) -> tuple[Trouble, ...]:
    """List what waits for a person, the most urgent first. Failed runs count from `since`, the rest from ever."""
    found = [
        *_one("failed", _rows(_FAILED, since=since, limit=COUNT_LIMIT)),
        *standing(now=now),
        *_one("workers", _rows(_NO_WORKER, limit=COUNT_LIMIT, seen=now - _WORKER_SEEN)),
        *_one("approval", _rows(_APPROVALS, limit=COUNT_LIMIT)),
        *_one("schedule", _rows(_SCHEDULES, since=now - _LATELY)),
        *_one("webhook", _rows(_WEBHOOKS, before=now - _FAILS_FOR, since=now - _LATELY)),
        *providers(now),
        *_documents(),
    ]
    return tuple(sorted(found, key=lambda each: -each.urgency(now)))


def standing(*, now: datetime) -> list[Trouble]:
    """Tell of the runs that stand still: with an outcome that nobody knows, or with something due that nobody does."""
    return [
        *_one("unknown", _rows(_UNKNOWN, limit=COUNT_LIMIT)),
        *_one(
            "stuck", _rows(_STUCK, ready=now - STUCK_READY, overdue=now - STUCK_OVERDUE, limit=COUNT_LIMIT)
        ),
    ]


def _one(kind: str, rows: list[tuple[Any, ...]]) -> list[Trouble]:
    """Make the one entry of a count; a single run is named, so that one click leads to it."""
    count, oldest, *named = rows[0]
    if not count:
        return []
    run, step = [*named, "", ""][:2] if count == 1 else ("", "")
    return [Trouble(kind=kind, count=count, oldest=oldest, ref=run or "", step=step or "")]


def providers(now: datetime) -> list[Trouble]:
    """Name the providers that answer badly now, with the newest call that failed."""
    rows = _rows(
        _PROVIDERS, calls=_CALLS, since=now - PROVIDER_WINDOW, at_least=_CALLS_AT_LEAST, share=_SHARE
    )
    places = {row[0]: row[1:] for row in _rows(_CALLED_FROM, ids=[row[5] for row in rows])} if rows else {}
    return [
        Trouble(
            kind="provider",
            count=failed,
            oldest=oldest,
            provider=provider,
            share=failed / calls,
            error_class=error_class or "",
            ref=places.get(newest, ("", ""))[0],
            step=places.get(newest, ("", ""))[1],
        )
        for provider, calls, failed, oldest, error_class, newest in rows
    ]


def _documents() -> list[Trouble]:
    return [
        Trouble(kind="documents", count=count, oldest=oldest, ref=corpus)
        for corpus, count, oldest in _rows(_DOCUMENTS, corpora=_CORPORA)
    ]


def _rows(statement: str, **params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall())
