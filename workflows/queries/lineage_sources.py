"""Where it is recorded who used a piece of state, one class for each place; all answer the same three questions.

A run stands once, at its newest use; a page begins after a run. However many uses there are, a page reads about as
many rows as it shows, and a count ends at a limit. May not know kinds of pieces, nor how runs are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from retrieval import readings
from workflows import database
from workflows.models import Run

COUNTED: Final = 10_000  # uses that a count looks at, the newest
STEPS: Final = 1_000  # of one run that a page counts
_LAST: Final = "s"  # after every run's id


@dataclass(frozen=True)
class Use:
    """What of a run used it. `steps`: how many, up to `STEPS`; 0: the run as a whole. `path`: the first of them."""

    steps: int
    path: str
    at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Totals:
    """How much used it: `capped` where there are more. Null `steps`: runs as a whole use it."""

    runs: int = 0
    steps: int | None = None
    capped: bool = False
    first: datetime | None = None
    last: datetime | None = None


class Source(Protocol):
    """One place where uses are recorded."""

    def runs(self, *, after: str, limit: int) -> list[str]:
        """Return the runs that used it, newest first; `after`: only those past this run, blank for the first."""
        ...

    def uses(self, runs: Sequence[str]) -> dict[str, Use]:
        """Say of some runs what of them used it."""
        ...

    def totals(self) -> Totals:
        """Count."""
        ...


# From one run to the next older one by the index, so that a run's thousands of steps are passed over at once.
_RECORDED_RUNS: Final = """
WITH RECURSIVE found (run, place) AS (
    SELECT $3::text, 0
    UNION ALL
    SELECT (SELECT max(older.run_id)::text FROM unnest($2::text[]) AS wanted(ref) CROSS JOIN LATERAL (
                SELECT run_id FROM workflows_lineage
                 WHERE kind = $1 AND ref = wanted.ref AND run_id < found.run
                 ORDER BY run_id DESC LIMIT 1) AS older), place + 1
      FROM found WHERE run IS NOT NULL AND place < $4
)
SELECT run FROM found WHERE place > 0 AND run IS NOT NULL ORDER BY place
"""
_RECORDED_USES: Final = """
SELECT wanted.run, used.steps, coalesce(step.path, ''), step.started_at
  FROM unnest($3::text[]) AS wanted(run)
 CROSS JOIN LATERAL (
    SELECT count(DISTINCT step_run_id) AS steps, min(step_run_id) AS first FROM (
        SELECT step_run_id FROM workflows_lineage
         WHERE kind = $1 AND ref = ANY ($2) AND run_id = wanted.run LIMIT $4) AS counted) AS used
  LEFT JOIN workflows_steprun step ON step.id = used.first
"""
_RECORDED_COUNT: Final = """
SELECT count(DISTINCT run_id), count(DISTINCT step_run_id), count(*) FROM (
    SELECT newest.* FROM unnest($2::text[]) AS wanted(ref) CROSS JOIN LATERAL (
        SELECT run_id, step_run_id FROM workflows_lineage
         WHERE kind = $1 AND ref = wanted.ref ORDER BY run_id DESC, step_run_id DESC LIMIT $3) AS newest
     LIMIT $3) AS counted
"""
_RECORDED_EDGES: Final = """
SELECT min(step.started_at), max(step.started_at) FROM unnest($2::text[]) AS wanted(ref) CROSS JOIN LATERAL (
    (SELECT step_run_id FROM workflows_lineage WHERE kind = $1 AND ref = wanted.ref
      ORDER BY run_id, step_run_id LIMIT 1)
    UNION ALL
    (SELECT step_run_id FROM workflows_lineage WHERE kind = $1 AND ref = wanted.ref
      ORDER BY run_id DESC, step_run_id DESC LIMIT 1)) AS edge
  JOIN workflows_steprun step ON step.id = edge.step_run_id
"""


@dataclass(frozen=True)
class Recorded:
    """Uses that steps recorded with their outcome, under any of some names."""

    kind: str
    refs: Sequence[str]

    def runs(self, *, after: str, limit: int) -> list[str]:
        rows = database.fetch_all(_RECORDED_RUNS, [self.kind, list(self.refs), after or _LAST, limit])
        return [run for (run,) in rows]

    def uses(self, runs: Sequence[str]) -> dict[str, Use]:
        rows = database.fetch_all(_RECORDED_USES, [self.kind, list(self.refs), list(runs), STEPS])
        return {run: Use(steps, path, at) for run, steps, path, at in rows}

    def totals(self) -> Totals:
        named = [self.kind, list(self.refs)]
        ((runs, steps, counted),) = database.fetch_all(_RECORDED_COUNT, [*named, COUNTED + 1])
        ((first, last),) = database.fetch_all(_RECORDED_EDGES, named)
        return Totals(runs=runs, steps=steps, capped=counted > COUNTED, first=first, last=last)


# Of a provider, a model or both ($1, $2; null: any), in a window ($3, $4). Every way to it has an index of its own.
_SUCH: Final = """
({0}.provider = $1 OR $1::text IS NULL) AND ($2::text IS NULL OR $2 IN ({0}.model_requested, {0}.model_returned))
 AND {0}.started_at >= coalesce($3::timestamptz, '-infinity')
 AND {0}.started_at < coalesce($4::timestamptz, 'infinity')
"""
_BY_PROVIDER: Final = ("c.provider = $1",)
_BY_MODEL: Final = (
    "c.model_requested = $2",
    "c.model_returned = $2 AND NOT (c.model_returned = c.model_requested)",
)
_CALLED_RUNS: Final = """
(SELECT c.run_id, c.started_at, c.id FROM workflows_call c
  WHERE {way} AND {such} AND c.started_at <= $5 AND (c.started_at, c.id) < ($5, $6)
    AND c.id = (SELECT l.id FROM workflows_call l WHERE l.run_id = c.run_id AND {same} ORDER BY l.id DESC LIMIT 1)
  ORDER BY c.started_at DESC, c.id DESC LIMIT $7)
"""
_CALLED_PLACE: Final = """
SELECT c.started_at, c.id FROM workflows_call c WHERE c.run_id = $5 AND {such} ORDER BY c.id DESC LIMIT 1
"""
_CALLED_USES: Final = """
SELECT wanted.run, used.steps, coalesce(step.path, ''), used.at FROM unnest($5::text[]) AS wanted(run)
 CROSS JOIN LATERAL (
    SELECT count(DISTINCT step_run_id) AS steps, min(step_run_id) AS first, min(started_at) AS at FROM (
        SELECT c.step_run_id, c.started_at FROM workflows_call c WHERE c.run_id = wanted.run AND {such}
         ORDER BY c.id LIMIT $6) AS counted) AS used
  LEFT JOIN workflows_steprun step ON step.id = used.first
"""
_CALLED_COUNT: Final = """
(SELECT c.run_id, c.step_run_id FROM workflows_call c WHERE {way} AND {such} ORDER BY c.started_at DESC LIMIT $5)
"""
_CALLED_EDGES: Final = """
(SELECT c.started_at FROM workflows_call c WHERE {way} AND {such} ORDER BY c.started_at LIMIT 1)
UNION ALL (SELECT c.started_at FROM workflows_call c WHERE {way} AND {such} ORDER BY c.started_at DESC LIMIT 1)
"""


@dataclass(frozen=True)
class Called:
    """Requests to a provider, to a model, or to a provider's model, in a window of time."""

    provider: str | None
    model: str | None
    since: datetime | None
    until: datetime | None

    def runs(self, *, after: str, limit: int) -> list[str]:
        place = self._place(after)
        if place is None:
            return []
        newest = self._each_way(_CALLED_RUNS)
        rows = database.fetch_all(
            f"SELECT run_id FROM ({newest}) AS newest ORDER BY started_at DESC, id DESC LIMIT $7",  # noqa: S608  ours
            [*self._asked(), *place, limit],
        )
        return [run for (run,) in rows]

    def uses(self, runs: Sequence[str]) -> dict[str, Use]:
        rows = database.fetch_all(
            _CALLED_USES.format(such=_SUCH.format("c")), [*self._asked(), list(runs), STEPS]
        )
        return {run: Use(steps, path, at) for run, steps, path, at in rows}

    def totals(self) -> Totals:
        newest = self._each_way(_CALLED_COUNT)
        ((runs, steps, counted),) = database.fetch_all(
            "SELECT count(DISTINCT run_id), count(DISTINCT step_run_id), count(*) "  # noqa: S608  ours
            f"FROM (SELECT * FROM ({newest}) AS newest LIMIT $5) AS counted",
            [*self._asked(), COUNTED + 1],
        )
        edges = self._each_way(_CALLED_EDGES)
        ((first, last),) = database.fetch_all(
            f"SELECT min(started_at), max(started_at) FROM ({edges}) AS edges",  # noqa: S608  ours
            self._asked(),
        )
        return Totals(runs=runs, steps=steps, capped=counted > COUNTED, first=first, last=last)

    def _asked(self) -> list[object]:
        return [self.provider, self.model, self.since, self.until]

    def _each_way(self, statement: str) -> str:
        ways = _BY_PROVIDER if self.model is None else _BY_MODEL
        such, same = _SUCH.format("c"), _SUCH.format("l")
        return " UNION ALL ".join(statement.format(way=way, such=such, same=same) for way in ways)

    def _place(self, run: str) -> tuple[object, object] | None:
        """Return where a run stands; None: it made no such call."""
        if not run:
            return "infinity", 2**63 - 1
        rows = database.fetch_all(_CALLED_PLACE.format(such=_SUCH.format("c")), [*self._asked(), run])
        return rows[0] if rows else None


@dataclass(frozen=True)
class Released:
    """Runs that began on a release."""

    release: int

    def runs(self, *, after: str, limit: int) -> list[str]:
        found = Run.objects.filter(release_id=self.release).order_by("-created_at", "-id")
        if after:
            at = (
                Run.objects.filter(release_id=self.release, pk=after)
                .values_list("created_at", flat=True)
                .first()
            )
            if at is None:
                return []
            found = found.filter(created_at__lte=at).exclude(created_at=at, id__gte=after)
        return list(found.values_list("id", flat=True)[:limit])

    def uses(self, runs: Sequence[str]) -> dict[str, Use]:
        found = Run.objects.filter(pk__in=runs).values_list("id", "created_at")
        return {run: Use(0, "", created_at) for run, created_at in found}

    def totals(self) -> Totals:
        found = Run.objects.filter(release_id=self.release)
        counted = found.order_by("-created_at", "-id")[: COUNTED + 1].count()
        times = found.values_list("created_at", flat=True)
        return Totals(
            runs=min(counted, COUNTED),
            capped=counted > COUNTED,
            first=times.order_by("created_at", "id").first(),
            last=times.order_by("-created_at", "-id").first(),
        )


@dataclass(frozen=True)
class Given:
    """Searches that gave a passage of a document version to a step."""

    version: int
    chunk: int

    def runs(self, *, after: str, limit: int) -> list[str]:
        return readings.runs(self.version, self.chunk, after=after, limit=limit)

    def uses(self, runs: Sequence[str]) -> dict[str, Use]:
        found = readings.readings(self.version, self.chunk, runs)
        return {run: Use(each.steps, each.path, each.at) for run, each in found.items()}

    def totals(self) -> Totals:
        found = readings.read(self.version, self.chunk, limit=COUNTED + 1)
        capped = found.counted > COUNTED
        return Totals(runs=found.runs, steps=found.steps, capped=capped, first=found.first, last=found.last)
