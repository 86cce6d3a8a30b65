"""Rollouts as people lead them: started, promoted, paused, resumed, aborted.

`tending` is the clock's side; both write by `moving`. Permission was checked above. May not: read the clock, measure,
or touch runs; moments are passed in.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from workflows.actor import Actor
from workflows.errors import Conflict, Refused, UnknownObject
from workflows.models import Deployment, Environment, Release, Rollout
from workflows.models.rollouts import ROLLOUT_ACTIVE
from workflows.payloads import clean_text
from workflows.releases import deployments, environments, figures, machine, moving
from workflows.releases.machine import Standing
from workflows.reserved import is_builtin
from workflows.spec import rollouts as spec
from workflows.spec.rollouts import Plan

Json = Any
InFlight = Literal["finish", "cancel"]
# What deploying at once means where a second person has to agree.
_AT_ONCE: Final[Mapping[str, Json]] = {"steps": [{"weight": 100}]}


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is to be deployed where. `supersede`: a rollout that goes on there ends for it."""

    workflow: str
    environment: str
    release: int
    strategy: Literal["rollout", "now"]
    reason: str = ""
    supersede: bool = False


def deploy(ask: Ask, *, actor: Actor, now: datetime) -> Rollout | None:
    """Deploy a release at once, or begin its rollout, which is returned.

    In a protected environment both are a rollout that waits for a second person.

    Raises:
        UnknownObject: no such workflow, environment or release.
        Conflict: it is deployed already, a rollout goes on, the environment has no steps for one, nothing is
            deployed that it could be compared with, or it holds something that is quarantined.
    """
    deployments.check_place(ask.workflow, ask.environment)
    if is_builtin(ask.workflow) and ask.strategy == "rollout":
        raise Conflict(
            f"Workflow {ask.workflow} belongs to the product and is not rolled out; each upgrade brings its own.",
            code="builtin_workflow",
        )
    target = deployments.deployable(ask.workflow, ask.release)
    environment = Environment.objects.get(pk=ask.environment)
    with transaction.atomic():
        deployed = moving.locked(ask.workflow, ask.environment)
        if ask.supersede:
            _supersede(ask, actor=actor, now=now)
        if ask.strategy == "now" and not environment.protected:
            deployments.deploy(
                ask.workflow,
                environment=ask.environment,
                release=ask.release,
                actor=actor,
                reason=ask.reason,
            )
            return None
        plan = _plan(ask, deployed)
        if deployed is not None and deployed.stable_id == target.pk:
            raise Conflict(
                f"Release {ask.release} of {ask.workflow} is what {ask.environment} has already.",
                code="already_deployed",
            )
        deployments.check_no_rollout(ask.workflow, ask.environment)
        return _begin(ask, environment, deployed, target, plan, actor=actor, now=now)


def _plan(ask: Ask, deployed: Deployment | None) -> Mapping[str, Json]:
    if ask.strategy == "now":
        return _AT_ONCE
    found = environments.rollout_of(ask.environment)
    if found is None:
        raise Conflict(
            f"Environment {ask.environment} has no rollout steps; give its document a `rollout`, or deploy at once.",
            code="no_rollout_steps",
        )
    if deployed is None:
        raise Conflict(
            f"Workflow {ask.workflow} has no release in {ask.environment} to take over from; deploy it at once.",
            code="not_deployed",
        )
    return found


def _begin(
    ask: Ask,
    environment: Environment,
    deployed: Deployment | None,
    target: Release,
    body: Mapping[str, Json],
    *,
    actor: Actor,
    now: datetime,
) -> Rollout:
    at = Standing(state="running", step=machine.BEFORE, step_at=now, weight=0.0, weight_at=now, due_at=None)
    if environment.protected:
        at = machine.paused(at, machine.APPROVAL, "It waits for the approval of a second person.")
    else:
        at = machine.enter(spec.parse(body), at, 0, now=now)
    try:
        with transaction.atomic():
            made = Rollout.objects.create(
                workflow=ask.workflow,
                environment=environment,
                from_release=deployed.stable if deployed else None,
                to_release=target,
                plan=body,
                salt=secrets.token_hex(16),
                history=figures.before(deployed.stable_id, environment.pk) if deployed else {},
                reason=clean_text(ask.reason, limit=1000),
                protected=environment.protected,
                started_by=str(actor),
                started_at=now,
                **moving.columns(at),
            )
    except IntegrityError:  # somebody began one where nothing was deployed yet
        raise Conflict(
            f"A rollout of {ask.workflow} goes on in {ask.environment}.", code="rollout_active"
        ) from None
    moving.tell(made, moving.Move(action="rollout.start", actor=actor, reason=made.reason), ["started"])
    return made


def get(rollout_id: int) -> Rollout:
    """Return a rollout. Raises: UnknownObject."""
    found = Rollout.objects.select_related("from_release", "to_release", "environment").filter(pk=rollout_id)
    row = found.first()
    if row is None:
        raise UnknownObject(f"There is no rollout {rollout_id}.", code="unknown_rollout")
    return row


def active(workflow: str, environment: str) -> Rollout | None:
    """Return the rollout that goes on, if one does."""
    found = Rollout.objects.select_related("from_release", "to_release")
    return found.filter(workflow=workflow, environment_id=environment, state__in=ROLLOUT_ACTIVE).first()


def with_traffic() -> QuerySet[Rollout]:
    """Return the rollouts whose candidates new runs get."""
    found = Rollout.objects.select_related("from_release", "to_release", "environment")
    return found.filter(state__in=ROLLOUT_ACTIVE, weight__gt=0).order_by("pk")


def promote(
    rollout_id: int, *, actor: Actor, reason: str, now: datetime, fully: bool = False, step: int | None = None
) -> Rollout:
    """Go on to the next step, whatever this one waits for; `fully`: give all new runs the candidate.

    `step`: the one that is to be left, as the person saw it; without it, whichever it stands in.

    Raises:
        UnknownObject: no such rollout.
        Conflict: it has ended, it stands in another step by now, or its release holds something quarantined.
        Refused: the environment is protected, and this person started the rollout or made the release.
    """

    def after(row: Rollout, plan: Plan) -> Standing:
        _check_second_person(row, actor)
        _check_step(row, step)
        deployments.deployable(row.workflow, row.to_release.number)
        at = moving.standing(row)
        return (
            machine.taken_over(at, now=now)
            if fully
            else machine.enter(plan, at, max(at.step, -1) + 1, now=now)
        )

    action = "rollout.promote_fully" if fully else "rollout.promote"
    return _lead(
        rollout_id, ROLLOUT_ACTIVE, after, moving.Move(action=action, actor=actor, reason=reason), now=now
    )


def pause(rollout_id: int, *, actor: Actor, reason: str, now: datetime) -> Rollout:
    """Leave the weight as it is until somebody resumes it. Raises: UnknownObject; Conflict unless it is running."""

    def after(row: Rollout, _: Plan) -> Standing:
        words = f"{actor} paused it." + (f" {reason}" if reason else "")
        return machine.paused(moving.standing(row), machine.OPERATOR, clean_text(words, limit=1000))

    move = moving.Move(action="rollout.pause", actor=actor, reason=reason)
    return _lead(rollout_id, ("running",), after, move, now=now)


def resume(rollout_id: int, *, actor: Actor, reason: str, now: datetime) -> Rollout:
    """Begin the step anew that it was paused in. Raises: UnknownObject; Conflict where it waits for a promotion."""

    def after(row: Rollout, plan: Plan) -> Standing:
        if row.paused_for in machine.ASKS:
            raise Conflict(
                f"Rollout {row.pk} waits for a person's yes: promote it, or abort it.", code="rollout_waits"
            )
        return machine.resumed(plan, moving.standing(row), now=now)

    move = moving.Move(action="rollout.resume", actor=actor, reason=reason)
    return _lead(rollout_id, ("paused",), after, move, now=now)


def abort(
    rollout_id: int, *, actor: Actor, reason: str, now: datetime, in_flight: InFlight = "finish"
) -> Rollout:
    """Give all new runs the stable release again; the candidate's runs finish, or are cancelled.

    Raises: UnknownObject; Conflict where it has ended.
    """

    def after(row: Rollout, _: Plan) -> Standing:
        words = f"{actor} aborted it." + (f" {reason}" if reason else "")
        return machine.gone(moving.standing(row), "aborted", clean_text(words, limit=1000))

    move = moving.Move(action="rollout.abort", actor=actor, reason=reason)
    cancels = in_flight == "cancel"
    return _lead(rollout_id, ROLLOUT_ACTIVE, after, move, now=now, cancelling=cancels)


def _supersede(ask: Ask, *, actor: Actor, now: datetime) -> None:
    found = active(ask.workflow, ask.environment)
    if found is None:
        return
    words = f"{actor} deploys release {ask.release} instead."
    move = moving.Move(action="rollout.supersede", actor=actor, reason=ask.reason)
    _lead(
        found.pk,
        ROLLOUT_ACTIVE,
        lambda row, _: machine.gone(moving.standing(row), "superseded", words),
        move,
        now=now,
    )


def _lead(
    rollout_id: int,
    expected: tuple[str, ...],
    after: Callable[[Rollout, Plan], Standing],
    move: moving.Move,
    *,
    now: datetime,
    cancelling: bool = False,
) -> Rollout:
    """Move a rollout for a person, who counts before the clock: the row is locked until it is done."""
    move = replace(move, reason=clean_text(move.reason, limit=1000))
    get(rollout_id)
    with transaction.atomic():
        place = Rollout.objects.values_list("workflow", "environment_id").get(pk=rollout_id)
        moving.locked(*place)
        Rollout.objects.select_for_update(no_key=True).get(pk=rollout_id)
        row = get(rollout_id)
        if row.state not in expected:
            told = row.state.replace("_", " ")
            raise Conflict(
                f"Rollout {rollout_id} is {told}; this needs one that is {' or '.join(expected)}.",
                code="rollout_state",
            )
        moved = moving.write(row, after(row, spec.parse(row.plan)), move, now=now, cancelling=cancelling)
        assert moved, "the row is locked"
    return get(rollout_id)


def _check_step(row: Rollout, seen: int | None) -> None:
    """Two who promote at once, or one who asks again, must not skip a step that nobody meant."""
    if seen is not None and seen != row.step:
        raise Conflict(
            f"Rollout {row.pk} has gone on meanwhile: it stands in step {row.step + 1}, not {seen + 1}. Look at it "
            "again; nothing was changed.",
            code="rollout_moved",
        )


def _check_second_person(row: Rollout, actor: Actor) -> None:
    if (row.protected or row.environment.protected) and str(actor) in (
        row.started_by,
        row.to_release.created_by,
    ):
        raise Refused(
            f"Environment {row.environment_id} is protected: whoever started rollout {row.pk} or made release "
            f"{row.to_release.number} cannot promote it. A second person has to.",
            code="second_person_needed",
        )
