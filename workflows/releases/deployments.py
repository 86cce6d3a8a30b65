"""What new runs get: the release that is deployed for a workflow in an environment.

May not build releases, and may not touch runs: those that have started keep the release that they pinned.
"""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from workflows import audit, quarantine
from workflows.actor import Actor
from workflows.errors import Conflict, UnknownObject
from workflows.models import Definition, Deployment, Environment, Release, Rollout
from workflows.models.rollouts import ROLLOUT_ACTIVE

MAX_REASON = 1_000


def get(workflow: str, *, environment: str) -> Deployment:
    """Return what is deployed.

    Raises:
        UnknownObject: no such workflow or environment.
        Conflict: nothing is deployed there.
    """
    check_place(workflow, environment)
    deployed = Deployment.objects.select_related("stable")
    found = deployed.filter(workflow=workflow, environment_id=environment).first()
    if found is None:
        raise Conflict(
            f"Workflow {workflow} has no release in environment {environment}; deploy one first.",
            code="not_deployed",
        )
    return found


def deploy(workflow: str, *, environment: str, release: int, actor: Actor, reason: str = "") -> Deployment:
    """Give new runs another release at once; the same again changes nothing.

    Raises:
        UnknownObject: no such workflow, environment or release.
        Conflict: it holds something that is quarantined, or a rollout goes on there.
    """
    check_place(workflow, environment)
    target = deployable(workflow, release)
    with transaction.atomic():
        found, created = Deployment.objects.select_for_update(no_key=True).get_or_create(
            workflow=workflow,
            environment_id=environment,
            defaults={"stable": target, "deployed_at": timezone.now(), "deployed_by": str(actor)},
        )
        before = None if created else found.stable
        check_no_rollout(workflow, environment)
        if before == target:
            return found
        found.stable, found.deployed_at, found.deployed_by = target, timezone.now(), str(actor)
        found.save(update_fields=["stable", "deployed_at", "deployed_by"])
        audit.record(
            actor,
            "deployment.deploy",
            "deployment",
            f"{workflow}/{environment}",
            reason=_clean(reason)[:MAX_REASON],
            data={"release": release, "before": before.number if before else None},
        )
    return found


def deployable(workflow: str, number: int) -> Release:
    """Return a release that may be deployed.

    Raises:
        UnknownObject: there is no such release.
        Conflict: it holds something that is quarantined, itself or in a child workflow.
    """
    target = Release.objects.filter(workflow=workflow, number=number).first()
    if target is None:
        raise UnknownObject(f"Workflow {workflow} has no release {number}.", code="unknown_release")
    quarantine.check_clean(
        target,
        refused=f"Release {number} of {workflow} is not deployed",
        instead="Deploy a release without it, or release the quarantine.",
    )
    return target


def check_no_rollout(workflow: str, environment: str) -> None:
    """Refuse while a rollout goes on. Call it with the deployment's row locked."""
    active = Rollout.objects.filter(
        workflow=workflow, environment_id=environment, state__in=ROLLOUT_ACTIVE
    ).first()
    if active is not None:
        raise Conflict(
            f"Rollout {active.pk} of {workflow} in {environment} is {active.state}; abort it, or say that this "
            "supersedes it.",
            code="rollout_active",
        )


def check_place(workflow: str, environment: str) -> None:
    """Raise UnknownObject unless there are such a workflow and environment."""
    if "\0" in environment or not Environment.objects.filter(pk=environment).exists():
        raise UnknownObject(
            f"There is no environment {_clean(environment)[:80]}.", code="unknown_environment"
        )
    if "\0" in workflow or not Definition.objects.filter(kind="Workflow", name=workflow).exists():
        raise UnknownObject(f"There is no workflow {_clean(workflow)[:80]}.", code="unknown_workflow")


def _clean(text: str) -> str:
    """The text without what a database refuses."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
