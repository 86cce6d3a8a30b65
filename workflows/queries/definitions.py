"""Definitions, releases and corpora for their pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Avg, Count, F, OuterRef, Q, Subquery

from workflows import reserved
from workflows.models import Definition, DefinitionVersion, Deployment, Release, Run
from workflows.queries.run_list import titles

_RECENT: Final = 8
ENVIRONMENT: Final = "production"


@dataclass(frozen=True, kw_only=True)
class WorkflowRow:
    """One line of the list of workflows."""

    name: str
    version: int
    release: int | None
    runs: int
    failed: int
    cost_usd: Decimal | None
    changed_at: datetime | None

    @property
    def succeeded_percent(self) -> float | None:
        """The share of ended runs that succeeded; unknown without any."""
        return None if not self.runs else (self.runs - self.failed) / self.runs * 100


@dataclass(frozen=True)
class Recent:
    """An earlier run whose input can be used again."""

    id: str
    title: str
    created_at: datetime


def latest(kind: str) -> list[Definition]:
    """Return the definitions of a kind that are not archived, with when the newest version was made."""
    made = DefinitionVersion.objects.filter(definition=OuterRef("pk"), version=OuterRef("latest_version"))
    found = Definition.objects.filter(kind=kind, archived_at=None).order_by("name")
    return list(found.annotate(changed_at=Subquery(made.values("created_at")[:1])))


def workflows(*, now: datetime) -> list[WorkflowRow]:
    """Return every workflow with its figures of the last 24 hours."""
    ended = (
        Run.objects.filter(created_at__gte=now - timedelta(hours=24))
        .order_by()
        .values("workflow")
        .annotate(
            runs=Count("id", filter=Q(state__in=["succeeded", "failed"])),
            failed=Count("id", filter=Q(state="failed")),
            cost=Avg("cost_usd"),
        )
    )
    figures: dict[str, Any] = {row["workflow"]: row for row in ended}
    deployments = Deployment.objects.filter(environment_id=ENVIRONMENT)
    released = dict(deployments.values_list("workflow", "stable__number"))
    return [
        WorkflowRow(
            name=each.name,
            version=each.latest_version,
            release=released.get(each.name),
            runs=figures.get(each.name, {}).get("runs", 0),
            failed=figures.get(each.name, {}).get("failed", 0),
            cost_usd=figures.get(each.name, {}).get("cost"),
            changed_at=each.changed_at,  # type: ignore[attr-defined]
        )
        for each in latest("Workflow")
    ]


def find(kind: str, name: str) -> Definition | None:
    """Return a definition by kind and name."""
    return Definition.objects.filter(kind=kind, name=name.replace("\0", "")).first()


def latest_body(kind: str, name: str) -> Mapping[str, Any]:
    """Return the newest version of a document; nothing where there is none."""
    found = DefinitionVersion.objects.filter(
        definition__kind=kind, definition__name=name, version=F("definition__latest_version")
    )
    body = found.values_list("body", flat=True).first() or {}
    return body if isinstance(body, dict) else {}


def versions(definition: Definition) -> list[DefinitionVersion]:
    """Return the versions of a definition, newest first."""
    return list(definition.versions.order_by("-version"))


def releases(workflow: str) -> list[Release]:
    """Return the releases of a workflow, newest first."""
    return list(Release.objects.filter(workflow=workflow).order_by("-number"))


def deployments(workflow: str) -> dict[str, Release]:
    """Return the releases that new runs get, by environment: production first, then by name."""
    found = Deployment.objects.filter(workflow=workflow.replace("\0", "")).select_related("stable")
    ordered = sorted(found, key=lambda each: (each.environment_id != ENVIRONMENT, each.environment_id))
    return {each.environment_id: each.stable for each in ordered}


def any_deployed() -> Release | None:
    """Return a release that can be started, the newest deployed; the product's own workflows do not count."""
    found = Deployment.objects.filter(environment_id=ENVIRONMENT).exclude(
        workflow__startswith=reserved.PREFIX
    )
    deployment = found.select_related("stable").order_by("-deployed_at", "-id").first()
    return deployment.stable if deployment else None


def input_schema(release: Release) -> Mapping[str, Any]:
    """Return the input schema of the workflow version that a release holds."""
    name, version = release.manifest["workflow"]
    found = DefinitionVersion.objects.filter(
        definition__kind="Workflow", definition__name=name, version=version
    ).values_list("body", flat=True)
    body = found.first() or {}
    schema = body.get("input") or {}
    return schema if isinstance(schema, dict) else {}


def recent_inputs(workflow: str) -> list[Recent]:
    """Return the newest runs of a workflow, to start another like one of them."""
    found = Run.objects.filter(workflow=workflow).order_by("-created_at", "-id")[:_RECENT]
    named = titles(list(found))
    return [Recent(run.id, named[run.id], run.created_at) for run in found]


def body_of(kind: str, name: str, version: int) -> dict[str, Any] | None:
    """Return the document of one version; None where there is none."""
    found = DefinitionVersion.objects.filter(
        definition__kind=kind, definition__name=name, version=version
    ).values_list("body", flat=True)
    return found.first()
