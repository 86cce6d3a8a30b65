"""Make releases for workflows whose closure changed, and deploy the first one of each.

Called inside the transaction that saves definitions, which lets in one writer at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import Any

from django.db.models import Max

from workflows import audit
from workflows.actor import Actor
from workflows.models import DefinitionVersion, Environment, Release
from workflows.releases import deployments, resolve
from workflows.spec import references
from workflows.spec.documents import content_hash

PRODUCTION = "production"  # exists from the start, unprotected


def build(
    workflows: Mapping[str, Mapping[str, Any]], *, latest: Mapping[tuple[str, str], int], actor: Actor
) -> tuple[Release, ...]:
    """Make a release of each workflow (name → newest body) that resolves to something new; children first."""
    built = []
    for name in _children_first(workflows, latest):
        manifest = resolve.manifest(
            workflows[name],
            version=latest["Workflow", name],
            latest=latest,
            bodies=_body,
            releases=_newest_release,
        )
        release = _release(name, manifest, actor=actor)
        if release is not None:
            built.append(release)
    return tuple(built)


def _children_first(
    workflows: Mapping[str, Mapping[str, Any]], latest: Mapping[tuple[str, str], int]
) -> tuple[str, ...]:
    """Order workflows so that each comes after those that it starts. There are no circles: the checks refuse them."""
    after: dict[str, set[str]] = {}
    for name, body in sorted(workflows.items()):
        named = set(resolve.references("Workflow", body))
        for kind, reference in tuple(named):
            if kind == "Tool":
                tool, version = references.split(reference)
                named |= resolve.references("Tool", _body("Tool", tool, version or latest["Tool", tool]))
        after[name] = {references.split(reference)[0] for kind, reference in named if kind == "Workflow"}
    return tuple(name for name in TopologicalSorter(after).static_order() if name in workflows)


def _body(kind: str, name: str, version: int) -> Mapping[str, Any]:
    found = DefinitionVersion.objects.get(definition__kind=kind, definition__name=name, version=version)
    body: Mapping[str, Any] = found.body
    return body


def _newest_release(workflow: str, version: int | None) -> int:
    releases = Release.objects.filter(workflow=workflow)
    if version is not None:
        releases = releases.filter(manifest__workflow=[workflow, version])
    return releases.latest("number").number


def _release(workflow: str, manifest: dict[str, Any], *, actor: Actor) -> Release | None:
    digest = content_hash(manifest)
    releases = Release.objects.filter(workflow=workflow)
    if releases.filter(content_hash=digest).exists():
        return None
    number = (releases.aggregate(newest=Max("number"))["newest"] or 0) + 1
    release = Release.objects.create(
        workflow=workflow, number=number, content_hash=digest, manifest=manifest, created_by=str(actor)
    )
    audit.record(actor, "release.build", "release", f"{workflow}/{number}", data={"manifest": manifest})
    if number == 1:
        _deploy_first(release, actor=actor)
    return release


def _deploy_first(release: Release, *, actor: Actor) -> None:
    Environment.objects.get_or_create(name=PRODUCTION)
    for environment in Environment.objects.filter(protected=False).order_by("name"):
        deployments.deploy(
            release.workflow,
            environment=environment.name,
            release=release.number,
            actor=actor,
            reason="first release",
        )
