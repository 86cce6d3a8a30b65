"""Environments as their documents say: protection, variables, and the steps by which a release is rolled out.

May not: touch what is deployed, or a rollout that goes on: it keeps the steps that it began with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import F

from workflows.models import DefinitionVersion, Environment
from workflows.models.releases import IMPORTED

Json = Any


def ensure(name: str, body: Mapping[str, Json]) -> str | None:
    """Let an environment go by a new version of its document; returns why that cannot be."""
    if name == IMPORTED:
        return "runs that were taken in from another installation are there; choose another name"
    values = {"protected": body.get("protected", False), "variables": body.get("variables", {})}
    Environment.objects.update_or_create(name=name, defaults=values)
    return None


def rollout_of(name: str) -> Mapping[str, Json] | None:
    """Return the `rollout` of an environment's newest document; None where it has none."""
    found = DefinitionVersion.objects.filter(
        definition__kind="Environment", definition__name=name, version=F("definition__latest_version")
    ).first()
    return None if found is None else found.body.get("rollout")
