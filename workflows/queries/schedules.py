"""The schedules as their pages show them: next fire, what became of the last one, history. May not change anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import F

from workflows import firing, schedules
from workflows.models import DefinitionVersion, Fire, Run, Schedule
from workflows.models.schedules import OUTCOMES
from workflows.spec import cron

PAGE: Final = 100
HISTORY: Final = 50


@dataclass(frozen=True, kw_only=True)
class ScheduleRow:
    """One schedule: its document, how far it has got, its last fire time and the run that had."""

    schedule: Schedule
    body: Mapping[str, Any]
    last: Fire | None
    run: Run | None

    @property
    def zone(self) -> str:
        return firing.zone_of(self.body)

    @property
    def words(self) -> str:
        """What its cron expression says."""
        return cron.explained(self.body["cron"])


@dataclass(frozen=True)
class Page:
    """Some of the schedules, those in trouble first, and how many there are in all."""

    rows: tuple[ScheduleRow, ...]
    more: bool
    total: int


# One look at an index for each schedule: fast up to tens of thousands.
_ORDER: Final = """
SELECT s.name FROM workflows_schedule s
LEFT JOIN LATERAL (
    SELECT outcome FROM workflows_fire f WHERE f.schedule = s.name AND f.outcome <> 'due'
    ORDER BY f.fire_at DESC LIMIT 1) AS last ON true
WHERE s.name LIKE %s
ORDER BY s.paused_at IS NOT NULL, last.outcome IS NULL OR last.outcome NOT IN ('failed', 'missed'),
         s.next_fire_at, s.name
"""


def page(*, contains: str = "", after: str = "") -> Page:
    """Return schedules whose name contains a text: those in trouble first, then by their next fire time."""
    kept = contains.replace("\0", "").replace("\\", "").replace("%", r"\%").replace("_", r"\_")
    with connection.cursor() as cursor:
        cursor.execute(_ORDER, [f"%{kept}%"])
        order = [name for (name,) in cursor.fetchall()]
    start = order.index(after) + 1 if after in order else 0
    chosen = order[start : start + PAGE]
    return Page(rows(chosen), more=start + PAGE < len(order), total=len(order))


def one(name: str) -> ScheduleRow:
    """Return one schedule. Raises: UnknownObject."""
    return rows([schedules.get(name).name])[0]


def rows(names: list[str]) -> tuple[ScheduleRow, ...]:
    """Return these schedules, in this order."""
    found = {row.name: row for row in Schedule.objects.filter(pk__in=names)}
    versions = DefinitionVersion.objects.filter(
        definition__kind="Schedule", definition__name__in=names, version=F("definition__latest_version")
    )
    bodies = dict(versions.values_list("definition__name", "body"))
    newest = Fire.objects.filter(schedule__in=names).exclude(outcome="due")
    last = {fire.schedule: fire for fire in newest.order_by("schedule", "-fire_at").distinct("schedule")}
    runs = Run.objects.in_bulk([fire.run_id for fire in last.values() if fire.run_id])
    made = []
    for name in names:
        fire = last.get(name)
        run = runs.get(fire.run_id) if fire else None
        made.append(ScheduleRow(schedule=found[name], body=bodies[name], last=fire, run=run))
    return tuple(made)


@dataclass(frozen=True)
class FireRow:
    """One line of the history."""

    fire: Fire
    run: Run | None


@dataclass(frozen=True)
class History:
    """Some of the fire times, newest first; `before` leads to older ones."""

    rows: tuple[FireRow, ...]
    before: datetime | None


def history(name: str, *, outcome: str = "", before: datetime | None = None) -> History:
    """Return what became of the fire times of a schedule, those that wait among them."""
    found = Fire.objects.filter(schedule=name)
    if outcome:
        found = found.filter(outcome=outcome)
    if before is not None:
        found = found.filter(fire_at__lt=before)
    fires = list(found.order_by("-fire_at")[: HISTORY + 1])
    shown = fires[:HISTORY]
    runs = Run.objects.in_bulk([fire.run_id for fire in shown if fire.run_id])
    more = shown[-1].fire_at if len(fires) > HISTORY else None
    return History(tuple(FireRow(fire, runs.get(fire.run_id)) for fire in shown), more)


def of_workflow(workflow: str, *, most: int = 3) -> tuple[Schedule, ...]:
    """Return some schedules that start a workflow, by their next fire time, paused ones last."""
    found = Schedule.objects.filter(workflow=workflow)
    return tuple(found.order_by(F("paused_at").asc(nulls_first=True), "next_fire_at", "pk")[:most])


def counts(name: str) -> dict[str, int]:
    """Return how many rows of the history have each outcome; of very many, no more than 1,000."""
    found = {
        outcome: Fire.objects.filter(schedule=name, outcome=outcome)[:1000].count() for outcome in OUTCOMES
    }
    return {outcome: count for outcome, count in found.items() if count}
