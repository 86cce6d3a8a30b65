"""Bring the product's own workflows into the database: like any other definition, under reserved names."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from django.db import transaction
from django.db.models import F

from workflows import definitions, reserved
from workflows.actor import SYSTEM
from workflows.models import DefinitionVersion, Deployment, Environment, Release
from workflows.releases import deployments
from workflows.spec.documents import SourceText, content_hash, load

FOLDER: Final = Path(__file__).parent


def ensure() -> None:
    """Save and deploy the built-in workflows as this version of the product has them."""
    if _up_to_date():
        return
    with transaction.atomic():
        applied = definitions.apply(_sources(), actor=SYSTEM)
        if applied.errors:
            raise RuntimeError(f"The built-in workflows are wrong: {applied.errors}")
        for release in applied.releases:
            _deploy(release)


@cache
def _sources() -> tuple[SourceText, ...]:
    return tuple(SourceText(path.name, path.read_text(), "yaml") for path in sorted(FOLDER.glob("*.yaml")))


@cache
def _wanted() -> frozenset[str]:
    return frozenset(content_hash(document.body) for document in load(_sources()).documents)


def _up_to_date() -> bool:
    newest = DefinitionVersion.objects.filter(
        definition__name__startswith=reserved.PREFIX, version=F("definition__latest_version")
    )
    return frozenset(newest.values_list("content_hash", flat=True)) == _wanted()


def _deploy(release: Release) -> None:
    """Deploy a new release everywhere at once: it came with the product, not from a person."""
    for environment in Environment.objects.all():
        deployed = Deployment.objects.filter(workflow=release.workflow, environment=environment).first()
        if deployed is None or deployed.stable_id != release.pk:
            deployments.deploy(
                release.workflow,
                environment=environment.name,
                release=release.number,
                actor=SYSTEM,
                reason="built in",
            )
