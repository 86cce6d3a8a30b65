"""The list of workflows: names, versions and releases, with the figures of the last day. May not change anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import F, Max

from workflows import reserved
from workflows.models import DefinitionVersion, Deployment
from workflows.queries import overview
from workflows.queries.overview import Window, WorkflowFigures

PAGE: Final = 100
_ENVIRONMENT: Final = "production"
_HOURS: Final = 24


@dataclass(frozen=True, kw_only=True)
class WorkflowRow:
    """One line: the newest version and who made it when, what is live, and the runs of the last 24 hours."""

    name: str
    version: int
    changed_at: datetime
    changed_by: str
    release: int | None
    runs: int
    failed: int
    unknown: int
    success: float | None
    p95_s: float | None
    cost_usd: Decimal | None
    runs_line: tuple[int, ...]
    failed_line: tuple[int, ...]

    @property
    def cost_a_run_usd(self) -> Decimal | None:
        """What a run cost on average."""
        return self.cost_usd / self.runs if self.cost_usd is not None and self.runs else None


@dataclass(frozen=True)
class Page:
    """Some of the workflows, those that fail first, and how many there are in all."""

    rows: tuple[WorkflowRow, ...]
    more: bool
    total: int


def page(*, contains: str, after: str, now: datetime) -> Page:
    """Return the workflows whose name contains a text, from after one of them on.

    All names are read to put the failing ones first; that is fast up to tens of thousands.
    """
    window = Window(now - timedelta(hours=_HOURS), now, _HOURS)
    figures = {each.name: each for each in overview.workflows(window, most=None)}
    named = _named(contains)
    order = sorted(named, key=lambda name: (*_trouble(figures.get(name)), name))
    start = order.index(after) + 1 if after in named else 0
    chosen = order[start : start + PAGE]
    deployments = Deployment.objects.filter(environment_id=_ENVIRONMENT, workflow__in=chosen)
    released = dict(deployments.values_list("workflow", "stable__number"))
    rows = tuple(_row(name, named[name], released.get(name), figures.get(name)) for name in chosen)
    return Page(rows, more=start + PAGE < len(order), total=len(order))


def names() -> tuple[str, ...]:
    """Return the names of all workflows, but the product's own."""
    return tuple(sorted(_named("")))


def _trouble(figures: WorkflowFigures | None) -> tuple[int, int]:
    return (-figures.unknown, -figures.failed) if figures else (0, 0)


def _named(contains: str) -> dict[str, tuple[int, datetime, str]]:
    newest = DefinitionVersion.objects.filter(
        definition__kind="Workflow", definition__archived_at=None, version=F("definition__latest_version")
    ).exclude(definition__name__startswith=reserved.PREFIX)
    if contains:
        newest = newest.filter(definition__name__icontains=contains.replace("\0", ""))
    rows = newest.values_list("definition__name", "version", "created_at", "created_by")
    return {name: (version, at, by) for name, version, at, by in rows}


def _row(
    name: str, made: tuple[int, datetime, str], release: int | None, figures: WorkflowFigures | None
) -> WorkflowRow:
    version, changed_at, changed_by = made
    return WorkflowRow(
        name=name,
        version=version,
        changed_at=changed_at,
        changed_by=changed_by,
        release=release,
        runs=figures.runs if figures else 0,
        failed=figures.failed if figures else 0,
        unknown=figures.unknown if figures else 0,
        success=figures.success if figures else None,
        p95_s=figures.p95_s if figures else None,
        cost_usd=figures.cost_usd if figures else None,
        runs_line=figures.runs_line if figures else (),
        failed_line=figures.failed_line if figures else (),
    )


def change_mark() -> int:
    """Return a number that grows whenever a definition is saved."""
    return DefinitionVersion.objects.aggregate(newest=Max("id"))["newest"] or 0
