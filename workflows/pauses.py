"""Pauses of more than one run: of a workflow, an environment, a workflow in an environment, or everything.

While one holds, nothing new starts in its scope: running attempts finish, new runs are accepted and wait.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import Q

from workflows import audit
from workflows.actor import Actor
from workflows.engine import dispatch
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.models import Definition, Environment, Pause
from workflows.payloads import clean_text

# How many doorbells an end of a pause rings: each worker that comes takes what waits, one after the other.
BELLS = 16


def all_() -> list[Pause]:
    """Return the pauses that hold, the oldest first."""
    return list(Pause.objects.order_by("created_at", "pk"))


def concerning(*, workflow: str | None, environment: str | None) -> list[Pause]:
    """Return the pauses that hold up a workflow or an environment, the widest first; None: whichever."""
    found = Pause.objects.all()
    if workflow is not None:
        found = found.filter(Q(workflow=None) | Q(workflow=workflow))
    if environment is not None:
        found = found.filter(Q(environment=None) | Q(environment=environment))
    return sorted(
        found.order_by("created_at", "pk"), key=lambda each: bool(each.workflow) + bool(each.environment_id)
    )


def add(*, environment: str | None, workflow: str | None, actor: Actor, reason: str) -> Pause:
    """Pause a scope. Both None: everything.

    Raises:
        Invalid: no reason was given.
        UnknownObject: no such environment or workflow.
        Conflict: it is paused already.
    """
    why = clean_text(reason, limit=1000).strip()
    if not why:
        raise Invalid("A reason is needed: others see it on every page.", code="reason_missing")
    if environment is not None and not Environment.objects.filter(pk=environment).exists():
        raise UnknownObject(
            f"There is no environment {clean_text(environment, limit=80)}.", code="unknown_environment"
        )
    if workflow is not None and not Definition.objects.filter(kind="Workflow", name=workflow).exists():
        raise UnknownObject(
            f"There is no workflow {clean_text(workflow, limit=80)}.", code="unknown_workflow"
        )
    scope = scope_text(environment, workflow)
    try:
        with transaction.atomic():
            pause = Pause.objects.create(
                environment_id=environment, workflow=workflow, reason=why, created_by=str(actor)
            )
            audit.record(actor, "pause.begin", "pause", scope, reason=why)
    except IntegrityError:
        raise Conflict(f"{scope} is paused already.", code="paused_already") from None
    return pause


def end(pause: int, *, actor: Actor, reason: str = "") -> None:
    """Let a scope go on.

    Raises:
        UnknownObject: no such pause; somebody may have ended it already.
    """
    with transaction.atomic():
        found = Pause.objects.filter(pk=pause).first()
        if found is None or not Pause.objects.filter(pk=pause).delete()[0]:
            raise UnknownObject("This pause does not hold any more.", code="unknown_pause")
        scope = scope_text(found.environment_id, found.workflow)
        audit.record(actor, "pause.end", "pause", scope, reason=clean_text(reason, limit=1000))
        transaction.on_commit(lambda: dispatch.ring([0] * BELLS), robust=True)


def scope_text(environment: str | None, workflow: str | None) -> str:
    """Say what a pause holds up."""
    if environment is None and workflow is None:
        return "Everything"
    if workflow is None:
        return f"Environment {environment}"
    return f"Workflow {workflow}" + (f" in {environment}" if environment is not None else "")
