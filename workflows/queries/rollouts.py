"""Rollouts and deployments as their pages show them. May not change anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Max

from workflows.models import AuditEntry, Deployment, Release, Rollout, Run
from workflows.models.rollouts import ROLLOUT_ACTIVE

PAGE: Final = 50
MOST_DEPLOYED: Final = 200
EVENTS: Final = 100
FAILED: Final = 10
_ROWS: Final = Rollout.objects.select_related("from_release", "to_release", "environment")


@dataclass(frozen=True)
class Place:
    """What is deployed in one place, and the newest release that there is."""

    deployment: Deployment
    newest: int


def live() -> list[Rollout]:
    """Return the rollouts that go on, those that wait for a person first."""
    return list(_ROWS.filter(state__in=ROLLOUT_ACTIVE).order_by("state", "pk"))


def ended(*, before: int | None) -> tuple[list[Rollout], bool]:
    """Return a page of those that have ended, newest first, and whether there are more."""
    found = _ROWS.exclude(state__in=ROLLOUT_ACTIVE).order_by("-pk")
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found[: PAGE + 1])
    return rows[:PAGE], len(rows) > PAGE


def places() -> list[Place]:
    """Return what is deployed where, the product's own workflows left out."""
    found = Deployment.objects.select_related("stable").exclude(workflow__startswith="interlock-")
    rows = list(found.order_by("workflow", "environment_id")[:MOST_DEPLOYED])
    names = {row.workflow for row in rows}
    newest = Release.objects.filter(workflow__in=names).values("workflow").annotate(newest=Max("number"))
    numbers = dict(newest.values_list("workflow", "newest"))
    return [Place(row, numbers[row.workflow]) for row in rows]


def events(rollout: Rollout) -> list[AuditEntry]:
    """Return what happened to a rollout, newest first."""
    found = AuditEntry.objects.filter(object_kind="rollout", object_id=str(rollout.pk))
    return list(found.order_by("-at", "-pk")[:EVENTS])


def failed(rollout: Rollout) -> list[Run]:
    """Return the candidate's last runs that failed."""
    found = Run.objects.filter(rollout=rollout, arm="candidate", state="failed")
    return list(found.order_by("-created_at", "-pk")[:FAILED])


def in_flight(rollout: Rollout) -> int:
    """Count the candidate's runs that go on, up to a thousand."""
    found = Run.objects.filter(rollout=rollout, arm="candidate", ended_at=None)
    return found.values("pk")[:1000].count()
