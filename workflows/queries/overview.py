"""Figures of a stretch of time for the overview: runs by outcome, durations, costs, workflows, errors.

Raw SQL, every statement bounded by the stretch and by a number of rows, so that a million runs stay fast; a test
explains them. Runs that were taken in from another installation are in none of them. May not change anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction

from workflows import states

SAMPLE: Final = 20_000  # of runs, for durations
WORKFLOW_SAMPLE: Final = 100_000
ERROR_SAMPLE: Final = 5_000
WORKFLOWS: Final = 25
ERRORS: Final = 12
PARTS: Final = 24  # of a sparkline
DAYS: Final = 7
_MESSAGE_CHARS: Final = 300


@dataclass(frozen=True)
class Window:
    """From when to when, in how many parts."""

    since: datetime
    until: datetime
    bins: int

    @property
    def width(self) -> timedelta:
        """The length of one part."""
        return (self.until - self.since) / self.bins


@dataclass(frozen=True)
class Bin:
    """The runs that were created in one part, by outcome."""

    start: datetime
    succeeded: int = 0
    active: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def runs(self) -> int:
        """All of them."""
        return self.succeeded + self.active + self.failed + self.cancelled


@dataclass(frozen=True)
class Activity:
    """Runs by outcome over a window."""

    bins: tuple[Bin, ...]

    def total(self, outcome: str) -> int:
        """Sum one outcome, or `runs`, over the window."""
        return sum(getattr(each, outcome) for each in self.bins)

    @property
    def success(self) -> float | None:
        """The share of succeeded among the runs that ended by themselves, 0 to 1; unknown without any."""
        return success_share(self.total("succeeded"), self.total("failed"))


@dataclass(frozen=True)
class Durations:
    """How long ended runs took, in seconds; `line` has the p95 of each part. `capped`: of the newest runs only."""

    p50_s: float | None
    p95_s: float | None
    line: tuple[float | None, ...]
    runs: int
    capped: bool


@dataclass(frozen=True)
class Day:
    """What the runs created on one day cost: until the same time of day as now, and in all."""

    start: datetime
    by_now_usd: Decimal
    usd: Decimal


@dataclass(frozen=True)
class Costs:
    """Today against the days before it, oldest first; unknown today: no run of today has a known cost."""

    today_usd: Decimal | None
    before: tuple[Day, ...]

    @property
    def band(self) -> tuple[Decimal, Decimal] | None:
        """The least and the most that one of those days had cost by this time; unknown before there are two."""
        spent = [day.by_now_usd for day in self.before if day.usd]
        return (min(spent), max(spent)) if len(spent) > 1 and any(spent) else None


@dataclass(frozen=True, kw_only=True)
class WorkflowFigures:
    """One workflow over a window, `runs_line` and `failed_line` by parts."""

    name: str
    runs: int
    succeeded: int
    failed: int
    unknown: int
    p95_s: float | None
    cost_usd: Decimal | None
    runs_line: tuple[int, ...]
    failed_line: tuple[int, ...]

    @property
    def success(self) -> float | None:
        """The share of succeeded among the runs that ended by themselves, 0 to 1."""
        return success_share(self.succeeded, self.failed)


@dataclass(frozen=True, kw_only=True)
class ErrorGroup:
    """Failed runs that failed alike; `message`: the newest one's."""

    error_class: str
    step: str
    workflow: str
    message: str
    runs: int
    first: datetime
    last: datetime
    newest: str
    group: int | None = None  # the one that looks after them, once they are sorted into it


def success_share(succeeded: int, failed: int) -> float | None:
    """Return succeeded of those that ended by themselves; unknown where none did."""
    return succeeded / (succeeded + failed) if succeeded + failed else None


@contextmanager
def bounded(*, seconds: float) -> Iterator[None]:
    """Give up statements that take longer, so that a slow one holds up its own part of a page only."""
    with transaction.atomic():
        _rows("SELECT set_config('statement_timeout', %(limit)s, true)", limit=str(int(seconds * 1000)))
        yield


# All but those that were taken in, each from an index of its own: the first from it alone.
_ACTIVITY: Final = """
SELECT start, state, sum(runs)::int FROM (
    SELECT date_bin(%(width)s, created_at, %(since)s) AS start, state, count(*) AS runs FROM workflows_run
    WHERE state = ANY(%(states)s) AND created_at >= %(since)s AND created_at < %(until)s
    GROUP BY 1, 2
    UNION ALL
    SELECT date_bin(%(width)s, created_at, %(since)s), state, -count(*) FROM workflows_run
    WHERE environment_id = 'imported' AND created_at >= %(since)s AND created_at < %(until)s
    GROUP BY 1, 2) AS counted
GROUP BY 1, 2
"""


def activity(window: Window) -> Activity:
    """Count the runs created in each part of a window by outcome; from an index alone."""
    rows = _rows(
        _ACTIVITY, width=window.width, since=window.since, until=window.until, states=sorted(states.RUN)
    )
    counts: dict[int, dict[str, int]] = {}
    for start, state, number in rows:
        place = round((start - window.since) / window.width)
        outcome = state if state in states.RUN_ENDED else "active"
        part = counts.setdefault(place, {})
        part[outcome] = part.get(outcome, 0) + number
    return Activity(
        tuple(Bin(window.since + n * window.width, **counts.get(n, {})) for n in range(window.bins))
    )


_DURATIONS: Final = """
WITH newest AS MATERIALIZED (
    SELECT created_at, extract(epoch FROM ended_at - started_at) AS took_s FROM workflows_run
    WHERE created_at >= %(since)s AND created_at < %(until)s AND ended_at IS NOT NULL AND started_at IS NOT NULL
      AND environment_id <> 'imported'
    ORDER BY created_at DESC, id DESC LIMIT %(limit)s)
SELECT date_bin(%(width)s, created_at, %(since)s), count(*),
       percentile_disc(0.5) WITHIN GROUP (ORDER BY took_s), percentile_disc(0.95) WITHIN GROUP (ORDER BY took_s)
FROM newest GROUP BY GROUPING SETS ((1), ())
"""


def durations(window: Window) -> Durations:
    """Rate how long the newest `SAMPLE` ended runs of a window took."""
    width = (window.until - window.since) / PARTS
    rows = _rows(_DURATIONS, width=width, since=window.since, until=window.until, limit=SAMPLE)
    line: list[float | None] = [None] * PARTS
    overall: tuple[int, Any, Any] = (0, None, None)
    for start, count, half, most in rows:
        if start is None:
            overall = (count, half, most)
        else:
            line[round((start - window.since) / width)] = float(most)
    runs, p50, p95 = overall
    return Durations(_seconds(p50), _seconds(p95), tuple(line), runs, runs >= SAMPLE)


def _seconds(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


_COSTS: Final = """
SELECT date_bin('1 hour', created_at, %(since)s), sum(cost_usd) FROM workflows_run
WHERE created_at >= %(since)s AND created_at < %(until)s AND cost_usd IS NOT NULL AND environment_id <> 'imported'
GROUP BY 1
"""


def hourly_costs(*, since: datetime, until: datetime) -> dict[datetime, Decimal]:
    """Sum what the runs created in each hour cost; of ended runs, the others have no known cost yet."""
    return dict(_rows(_COSTS, since=since, until=until))


def compared(
    today: Mapping[datetime, Decimal],
    before: Mapping[datetime, Decimal],
    *,
    midnight: datetime,
    now: datetime,
) -> Costs:
    """Set today's costs beside those of the `DAYS` days before, each until this time of day too."""
    elapsed = (now.astimezone(UTC) - midnight.astimezone(UTC)) / timedelta(hours=1)
    days = [
        _day(before, midnight - timedelta(days=back), elapsed_hours=elapsed) for back in range(DAYS, 0, -1)
    ]
    return Costs(sum(today.values(), Decimal(0)) if today else None, tuple(days))


def _day(hourly: Mapping[datetime, Decimal], start: datetime, *, elapsed_hours: float) -> Day:
    """Sum the hours from one midnight to the next: 23 or 25 of them where the clocks change."""
    begin, end = start.astimezone(UTC), (start + timedelta(days=1)).astimezone(UTC)
    by_now, whole = Decimal(0), Decimal(0)
    for place in range(round((end - begin) / timedelta(hours=1))):
        cost = hourly.get(begin + timedelta(hours=place), Decimal(0))
        whole += cost
        by_now += cost * Decimal(str(round(min(max(elapsed_hours - place, 0.0), 1.0), 4)))
    return Day(start, by_now, whole)


_WORKFLOWS: Final = """
WITH newest AS MATERIALIZED (
    SELECT workflow, state, created_at, cost_usd, extract(epoch FROM ended_at - started_at) AS took_s
    FROM workflows_run WHERE created_at >= %(since)s AND created_at < %(until)s AND environment_id <> 'imported'
    ORDER BY created_at DESC, id DESC LIMIT %(limit)s)
SELECT workflow, date_bin(%(width)s, created_at, %(since)s), count(*),
       count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE state = 'failed'),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY took_s), sum(cost_usd)
FROM newest GROUP BY GROUPING SETS ((1), (1, 2))
"""
_UNKNOWN: Final = """
SELECT run.workflow, count(DISTINCT run.id) FROM workflows_steprun AS step
JOIN workflows_run AS run ON run.id = step.run_id
WHERE step.state = 'unknown' AND NOT step.superseded GROUP BY 1
"""


def workflows(window: Window, *, most: int | None = WORKFLOWS) -> tuple[WorkflowFigures, ...]:
    """Return the workflows that ran in a window, those with the most trouble first.

    Of the newest `WORKFLOW_SAMPLE` runs; at most `most` of them, or all.
    """
    width = (window.until - window.since) / PARTS
    rows = _rows(_WORKFLOWS, width=width, since=window.since, until=window.until, limit=WORKFLOW_SAMPLE)
    unknown = dict(_rows(_UNKNOWN))
    lines: dict[str, dict[int, tuple[int, int]]] = {}
    for name, start, count, _, failed, _, _ in rows:
        if start is not None:
            lines.setdefault(name, {})[round((start - window.since) / width)] = (count, failed)
    found = [
        WorkflowFigures(
            name=name,
            runs=count,
            succeeded=succeeded,
            failed=failed,
            unknown=unknown.get(name, 0),
            p95_s=_seconds(p95),
            cost_usd=cost,
            runs_line=tuple(lines[name].get(n, (0, 0))[0] for n in range(PARTS)),
            failed_line=tuple(lines[name].get(n, (0, 0))[1] for n in range(PARTS)),
        )
        for name, start, count, succeeded, failed, p95, cost in rows
        if start is None
    ]
    return tuple(sorted(found, key=lambda w: (-w.unknown, -w.failed, -w.runs, w.name))[:most])


_ERRORS: Final = """
SELECT id, workflow, created_at, error ->> 'class', error ->> 'step', left(error ->> 'message', %(chars)s),
       error_group_id
FROM workflows_run WHERE state = 'failed' AND created_at >= %(since)s AND created_at < %(until)s
  AND environment_id <> 'imported'
ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""
_PLACEHOLDER: Final = "#"
# What differs between two errors of one kind: what is quoted, ids, numbers; but not the status of a reply.
_VARYING: Final = re.compile(
    r"'[^']{1,200}'|\"[^\"]{1,200}\"|\b(?:r_)?[0-9a-f]{8,}(?:-[0-9a-f]{4,}){0,4}\b|\b(?![45]\d\d\b)\d+(?:[.,:]\d+)*"
)
_ITEM: Final = re.compile(r"\[\d+\]")


def errors(window: Window) -> tuple[ErrorGroup, ...]:
    """Group the newest `ERROR_SAMPLE` failed runs of a window, largest first.

    By the group that each was sorted into; those that are not sorted yet by class, step, workflow and message.
    """
    rows = _rows(_ERRORS, since=window.since, until=window.until, limit=ERROR_SAMPLE, chars=_MESSAGE_CHARS)
    failed = [
        _Failed(
            key=(error_class or "", _ITEM.sub("[]", step or ""), workflow, normalised(message or "")),
            message=message or "",
            run=run_id,
            created_at=created_at,
            group=group,
        )
        for run_id, workflow, created_at, error_class, step, message, group in rows
    ]
    found: dict[Any, list[_Failed]] = {}
    known = _groups_of_keys(failed)
    for each in failed:
        found.setdefault(each.group or known.get(each.key, each.key), []).append(each)
    largest = sorted(found.values(), key=lambda members: (-len(members), members[0].key))[:ERRORS]
    return tuple(_group(members) for members in largest)


@dataclass(frozen=True, kw_only=True)
class _Failed:
    """A failed run; `key`: class, step, workflow and message as they are compared; `message`: as it was written."""

    key: tuple[str, str, str, str]
    message: str
    run: str
    created_at: datetime
    group: int | None


def _groups_of_keys(failed: Sequence[_Failed]) -> dict[tuple[str, ...], int]:
    """Say which group a run will be sorted into: the one of those that read alike, where there is just one."""
    known: dict[tuple[str, ...], set[int]] = {}
    for each in failed:
        if each.group is not None:
            known.setdefault(each.key, set()).add(each.group)
    return {key: min(groups) for key, groups in known.items() if len(groups) == 1}


def _group(members: Sequence[_Failed]) -> ErrorGroup:
    error_class, step, workflow, _ = members[0].key
    return ErrorGroup(
        error_class=error_class,
        step=step,
        workflow=workflow,
        message=members[0].message,
        runs=len(members),
        first=members[-1].created_at,
        last=members[0].created_at,
        newest=members[0].run,
        group=next((each.group for each in members if each.group is not None), None),
    )


def normalised(message: str) -> str:
    """Take out of a message what differs from one time to the next, so that equal errors read alike."""
    return " ".join(_VARYING.sub(_PLACEHOLDER, message).split())


def any_run() -> bool:
    """Say whether there has ever been a run."""
    return bool(_rows("SELECT FROM workflows_run LIMIT 1"))


def _rows(statement: str, **params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall())
