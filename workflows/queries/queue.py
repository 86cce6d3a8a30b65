"""What waits for a worker, behind what, and what each worker does. Raw SQL: lanes by skip scan, not row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from workflows import database

LANES: Final = 200
COUNTED: Final = 10_000  # ready rows of a lane are counted up to here
IN_FLIGHT: Final = 200
WAITING_KEYS: Final = 50
ALIVE_S: Final = 60


@dataclass(frozen=True, kw_only=True)
class Lane:
    """The ready steps of one workflow in one environment at one priority. `waiting` stops at 10,000."""

    environment: str
    workflow: str
    priority: int
    waiting: int
    oldest: datetime
    paused: bool


@dataclass(frozen=True, kw_only=True)
class InFlight:
    """An attempt that a worker has in hand."""

    worker: str
    run: str
    path: str
    workflow: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class WorkerRow:
    """One worker process and what it does, the oldest attempt first."""

    id: str
    host: str
    pid: int
    threads: int
    draining: bool
    seen_at: datetime
    doing: tuple[InFlight, ...]


@dataclass(frozen=True, kw_only=True)
class Key:
    """Runs that wait for a place under a concurrency key; `holders` have one."""

    workflow: str
    environment: str
    key: str
    limit: int
    waiting: int
    oldest: datetime
    holders: tuple[str, ...]


_LANES: Final = """
WITH RECURSIVE lane AS (
    (SELECT priority, lane FROM workflows_steprun WHERE state = 'ready' ORDER BY priority, lane LIMIT 1)
    UNION ALL
    SELECT next.priority, next.lane FROM lane CROSS JOIN LATERAL (
        SELECT priority, lane FROM workflows_steprun
         WHERE state = 'ready' AND (priority, lane) > (lane.priority, lane.lane)
         ORDER BY priority, lane LIMIT 1) AS next
), named AS (SELECT * FROM lane LIMIT $1)
SELECT named.priority, named.lane, counted.waiting, counted.oldest, interlock_paused(named.lane)
  FROM named CROSS JOIN LATERAL (
    SELECT count(*) AS waiting, min(ready_at) AS oldest FROM (
        SELECT ready_at FROM workflows_steprun
         WHERE state = 'ready' AND priority = named.priority AND lane = named.lane
         ORDER BY ready_at LIMIT $2) AS first) AS counted
 ORDER BY named.priority, counted.oldest
"""
_WORKERS: Final = """
SELECT id, host, pid, threads, draining, seen_at FROM workflows_worker
 WHERE seen_at > clock_timestamp() - make_interval(secs => $1) ORDER BY started_at, id
"""
_IN_FLIGHT: Final = """
SELECT a.worker, s.run_id, s.path, split_part(s.lane, '/', 2), a.started_at
  FROM workflows_steprun s JOIN workflows_attempt a ON a.step_run_id = s.id AND a.number = s.attempts_made
 WHERE s.state = 'running' ORDER BY a.started_at LIMIT $1
"""
_KEYS: Final = """
SELECT waiting.workflow, waiting.environment_id, waiting.concurrency_key, waiting.most, waiting.runs, waiting.oldest,
       ARRAY(SELECT id FROM workflows_run h
              WHERE h.workflow = waiting.workflow AND h.environment_id = waiting.environment_id
                AND h.concurrency_key = waiting.concurrency_key AND h.ended_at IS NULL AND h.admitted
              ORDER BY created_at LIMIT 5)
  FROM (SELECT workflow, environment_id, concurrency_key, max(concurrency_limit) AS most, count(*) AS runs,
               min(created_at) AS oldest
          FROM workflows_run WHERE concurrency_key IS NOT NULL AND ended_at IS NULL AND NOT admitted
         GROUP BY 1, 2, 3 ORDER BY min(created_at) LIMIT $1) AS waiting
"""


def lanes() -> tuple[Lane, ...]:
    """Return the lanes in which something is ready, by priority and age."""
    return tuple(
        Lane(
            environment=lane.partition("/")[0],
            workflow=lane.partition("/")[2],
            priority=priority,
            waiting=waiting,
            oldest=oldest,
            paused=paused,
        )
        for priority, lane, waiting, oldest, paused in database.fetch_all(_LANES, [LANES, COUNTED])
    )


def workers() -> tuple[WorkerRow, ...]:
    """Return the workers that are alive, with what they do."""
    doing: dict[str, list[InFlight]] = {}
    for worker, run, path, workflow, since in database.fetch_all(_IN_FLIGHT, [IN_FLIGHT]):
        found = InFlight(worker=worker, run=run, path=path, workflow=workflow, since=since)
        doing.setdefault(worker, []).append(found)
    return tuple(
        WorkerRow(
            id=id,
            host=host,
            pid=pid,
            threads=threads,
            draining=draining,
            seen_at=seen_at,
            doing=tuple(doing.get(id, ())),
        )
        for id, host, pid, threads, draining, seen_at in database.fetch_all(_WORKERS, [ALIVE_S])
    )


def places() -> Sequence[Key]:
    """Return the concurrency keys under which runs wait, those that wait longest first."""
    return tuple(
        Key(
            workflow=workflow,
            environment=environment,
            key=key,
            limit=limit,
            waiting=waiting,
            oldest=oldest,
            holders=tuple(holders),
        )
        for workflow, environment, key, limit, waiting, oldest, holders in database.fetch_all(
            _KEYS, [WAITING_KEYS]
        )
    )
