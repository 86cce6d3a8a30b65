"""Environments as their documents say: protection, variables, and the steps by which a release is rolled out.

May not: touch what is deployed, or a rollout that goes on: it keeps the steps that it began with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import F

from workflows import audit
from workflows.actor import Actor
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.models import DefinitionVersion, Environment
from workflows.models.releases import IMPORTED
from workflows.payloads import clean_text

Json = Any


def ensure(name: str, body: Mapping[str, Json]) -> str | None:
    """Let an environment go by a new version of its document; returns why that cannot be.

    Whoever may apply documents could otherwise lift what wants a second person, and deploy alone.
    """
    if name == IMPORTED:
        return "runs that were taken in from another installation are there; choose another name"
    if not body.get("protected", False) and Environment.objects.filter(name=name, protected=True).exists():
        return (
            "it is protected, which a document cannot take away; an administrator can: "
            f"`manage.py unprotect {name} --reason …`"
        )
    values = {"protected": body.get("protected", False), "variables": body.get("variables", {})}
    Environment.objects.update_or_create(name=name, defaults=values)
    return None


def unprotect(name: str, *, actor: Actor, reason: str) -> None:
    """Let one person change an environment again. A rollout that goes on still wants its second person.

    Raises:
        UnknownObject: there is no such environment.
        Conflict: it is not protected.
        Invalid: no reason is given.
    """
    if not reason.strip():
        raise Invalid("A reason is needed; it goes to the audit log.", code="reason_missing")
    told = clean_text(name, limit=63)
    with transaction.atomic():
        found = Environment.objects.select_for_update(no_key=True).filter(name=told).first()
        if found is None:
            raise UnknownObject(f"There is no environment {told}.", code="unknown_environment")
        if not found.protected:
            raise Conflict(f"Environment {told} is not protected.", code="not_protected")
        Environment.objects.filter(name=told).update(protected=False)
        audit.record(
            actor, "environment.unprotect", "environment", told, reason=clean_text(reason, limit=1000)
        )


def rollout_of(name: str) -> Mapping[str, Json] | None:
    """Return the `rollout` of an environment's newest document; None where it has none."""
    found = DefinitionVersion.objects.filter(
        definition__kind="Environment", definition__name=name, version=F("definition__latest_version")
    ).first()
    return None if found is None else found.body.get("rollout")
