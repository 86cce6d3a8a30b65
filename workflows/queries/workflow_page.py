"""One workflow for its page: figures of its runs and of each step, versions, releases.

Raw SQL, bounded by a stretch of time and by a number of runs and of steps in each, so that a busy workflow's page is
as fast as a quiet one's. May not change anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from workflows.models import AuditEntry, Definition, DefinitionVersion, Deployment, Release
from workflows.queries.overview import success_share

RUNS: Final = 20_000  # the newest, for the figures of the workflow
STEP_RUNS: Final = 500  # the newest, for the figures of its steps
STEPS_A_RUN: Final = 200  # of a run whose map has thousands of items
SHOWN: Final = 100  # versions and releases on one page


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The runs of a workflow that were created in a stretch of time; of the newest `RUNS` where `capped`."""

    runs: int
    succeeded: int
    failed: int
    p95_s: float | None
    cost_usd: Decimal | None
    priced: int

    @property
    def success(self) -> float | None:
        """The share of succeeded among the runs that ended by themselves, 0 to 1."""
        return success_share(self.succeeded, self.failed)

    @property
    def cost_a_run_usd(self) -> Decimal | None:
        """What a run cost on average, of those whose cost is known."""
        return self.cost_usd / self.priced if self.cost_usd is not None and self.priced else None

    @property
    def capped(self) -> bool:
        return self.runs >= RUNS


@dataclass(frozen=True, kw_only=True)
class StepFigures:
    """One step in those runs; `cost_share` is its part of what all steps cost, 0 to 1."""

    runs: int = 0
    succeeded: int = 0
    failed: int = 0
    p95_s: float | None = None
    cost_share: float | None = None

    @property
    def success(self) -> float | None:
        """The share of succeeded among those that ended by themselves, 0 to 1."""
        return success_share(self.succeeded, self.failed)


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """One version: who made it when and why, and the releases that hold it."""

    number: int
    created_at: datetime
    created_by: str
    note: str
    releases: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ReleaseRow:
    """One release, and where it is deployed."""

    number: int
    version: int
    holds: tuple[tuple[str, str], ...]
    created_at: datetime
    created_by: str
    environments: tuple[str, ...]


_FIGURES: Final = """
WITH newest AS MATERIALIZED (
    SELECT state, cost_usd, extract(epoch FROM ended_at - started_at) AS took_s FROM workflows_run
    WHERE workflow = %(workflow)s AND created_at >= %(since)s AND created_at < %(until)s
    ORDER BY created_at DESC, id DESC LIMIT %(limit)s)
SELECT count(*), count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE state = 'failed'),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY took_s), sum(cost_usd), count(cost_usd) FROM newest
"""


def figures(workflow: str, *, since: datetime, until: datetime) -> Figures:
    """Sum up the newest runs of a workflow in a stretch of time."""
    [row] = _rows(_FIGURES, workflow=_clean(workflow), since=since, until=until, limit=RUNS)
    runs, succeeded, failed, p95, cost, priced = row
    return Figures(
        runs=runs,
        succeeded=succeeded,
        failed=failed,
        p95_s=None if p95 is None else float(p95),
        cost_usd=cost,
        priced=priced,
    )


_STEPS: Final = """
WITH newest AS MATERIALIZED (
    SELECT id FROM workflows_run
    WHERE workflow = %(workflow)s AND created_at >= %(since)s AND created_at < %(until)s
    ORDER BY created_at DESC, id DESC LIMIT %(runs)s),
step AS (
    SELECT of_run.* FROM newest CROSS JOIN LATERAL (
        SELECT step_id, state, cost_usd, extract(epoch FROM ended_at - started_at) AS took_s
        FROM workflows_steprun WHERE run_id = newest.id AND NOT superseded LIMIT %(steps)s) AS of_run)
SELECT step_id, count(*) FILTER (WHERE state IN ('succeeded', 'failed', 'running', 'waiting', 'unknown')),
       count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE state = 'failed'),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY took_s) FILTER (WHERE state IN ('succeeded', 'failed')),
       sum(cost_usd)
FROM step GROUP BY 1
"""


def step_figures(workflow: str, *, since: datetime, until: datetime) -> Mapping[str, StepFigures]:
    """Sum up each step of the newest `STEP_RUNS` runs of a workflow in a stretch of time, by the step's id."""
    rows = _rows(
        _STEPS,
        workflow=_clean(workflow),
        since=since,
        until=until,
        runs=STEP_RUNS,
        steps=STEPS_A_RUN,
    )
    spent = sum((cost for *_, cost in rows if cost is not None), Decimal(0))
    return {
        step_id: StepFigures(
            runs=runs,
            succeeded=succeeded,
            failed=failed,
            p95_s=None if p95 is None else float(p95),
            cost_share=float(cost / spent) if cost is not None and spent else None,
        )
        for step_id, runs, succeeded, failed, p95, cost in rows
    }


def versions(definition: Definition) -> list[VersionRow]:
    """Return the newest `SHOWN` versions, newest first, each with its note and the releases that hold it."""
    found = list(
        DefinitionVersion.objects.filter(definition=definition)
        .order_by("-version")
        .values("version", "created_at", "created_by")[:SHOWN]
    )
    names = [f"{definition.name}@{each['version']}" for each in found]
    audited = AuditEntry.objects.filter(
        action="definition.save", object_kind=definition.kind, object_id__in=names
    )
    notes = dict(audited.values_list("object_id", "reason"))
    held: dict[int, list[int]] = {}
    for each in _releases(definition.name):
        held.setdefault(each.manifest["workflow"][1], []).append(each.number)
    return [
        VersionRow(
            number=each["version"],
            created_at=each["created_at"],
            created_by=each["created_by"],
            note=notes.get(f"{definition.name}@{each['version']}", ""),
            releases=tuple(sorted(held.get(each["version"], ()))),
        )
        for each in found
    ]


def releases(workflow: str) -> list[ReleaseRow]:
    """Return the newest `SHOWN` releases, newest first, with where each is deployed."""
    deployed = deployments(workflow)
    return [
        ReleaseRow(
            number=each.number,
            version=each.manifest["workflow"][1],
            holds=holds(each.manifest),
            created_at=each.created_at,
            created_by=each.created_by,
            environments=tuple(
                deployment.environment_id for deployment in deployed if deployment.stable_id == each.pk
            ),
        )
        for each in _releases(workflow)
    ]


def deployments(workflow: str) -> list[Deployment]:
    """Return what new runs of a workflow get in each environment."""
    found = Deployment.objects.filter(workflow=_clean(workflow)).select_related("stable")
    return list(found.order_by("environment_id"))


def _releases(workflow: str) -> Sequence[Release]:
    return list(Release.objects.filter(workflow=workflow).order_by("-number")[:SHOWN])


def holds(manifest: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Name the documents beside the workflow that a release pins, as (kind, name and version)."""
    groups = (("Prompt", "prompts"), ("Route", "routes"), ("Tool", "tools"), ("Corpus", "corpora"))
    return tuple(
        (kind, f"{name.partition('@')[0]} v{version}")
        for kind, group in groups
        for name, version in sorted(manifest.get(group, {}).items())
    )


def _clean(name: str) -> str:
    return name.replace("\0", "")


def _rows(statement: str, **params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall())
