"""Lead failed runs on: retry from the failed steps, and settle steps whose outside effect is unknown.

Finished work is kept, whatever it was. Nothing here acts on the outside: it changes recorded state, and the
engine goes on from there by its normal door.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from workflows import audit, database, runs, states
from workflows.actor import Actor
from workflows.engine import bundle, changes, commit, decide, dispatch, execute, hints
from workflows.engine.leases import Active
from workflows.engine.outcomes import Failed, Outcome, Skipped, StepError, Succeeded
from workflows.engine.plan import Plan
from workflows.engine.port import Spent
from workflows.engine.views import Known
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.models import JournalEvent, Run, StepRun
from workflows.payloads import clean_text

Json = Any
Action = Literal["supply", "skip", "retry", "fail"]
RETRIED: Final = ("failed", "cancelled")


@dataclass(frozen=True)
class Reopened:
    """What becomes of a step run that ran or should have run, when its run goes on."""

    step: StepRun
    state: str
    reason: str = ""
    waiting_on: int = 0
    settling: bool = False


def retry(run_id: str, *, actor: Actor, reason: str = "", audited: bool = True) -> Run:
    """Continue a failed or cancelled run from its failed steps, on its own release and snapshots.

    `audited=False`: the caller's own audit entry speaks for many runs.

    Raises:
        UnknownObject: no such run.
        Conflict: it is not failed or cancelled, or nothing in it can be done again.
    """
    runs.get(run_id)
    why = clean_text(reason, limit=1000)
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run_id)
        if run.state not in RETRIED:
            raise Conflict(
                f"Run {run_id} is {run.state}; only failed or cancelled runs can be retried.",
                code="run_not_failed",
            )
        steps = list(run.steps.filter(superseded=False).order_by("id").select_for_update())
        reopened = reopen(bundle.load(run.release_id).plan, steps)
        if not reopened:
            raise Conflict(
                f"Run {run_id} has no failed step: what failed is its output expression. "
                "Deploy a corrected workflow and start a new run.",
                code="nothing_to_retry",
            )
        _lead_on(run, actor=actor, reason=why, steps=[r.step.path for r in reopened if r.state == "ready"])
        for each in reopened:
            _write(run, each)
        if audited:
            audit.record(actor, "run.retry", "run", run_id, reason=why)
        ready = [each.step.pk for each in reopened if each.state == "ready"]
        transaction.on_commit(lambda: dispatch.ring(ready), robust=True)
        transaction.on_commit(lambda: hints.tell(run_id), robust=True)
    return runs.get(run_id)


def reopen(plan: Plan, steps: Sequence[StepRun]) -> list[Reopened]:
    """Say which step runs go on, and how. Pure.

    Failed ones run again, unless somebody absorbed the failure; cancelled ones take up their place again.
    """
    absorbed = [
        taken for step in steps if step.state == "failed" if (taken := _absorbing(plan, step)) is not None
    ]
    kept = tuple(prefix for prefix in absorbed if prefix)
    again = [
        step
        for step in steps
        if step.state in RETRIED
        and not step.path.startswith(kept)
        and not (step.state == "failed" and _absorbing(plan, step) is not None)
    ]
    open_paths = {step.path for step in again} | {
        step.path for step in steps if step.state not in states.STEP_ENDED
    }
    parents = {step.parent_id for step in steps if step.parent_id is not None}
    return [_reopened(plan, step, open_paths, has_children=step.pk in parents) for step in again]


def _absorbing(plan: Plan, step: StepRun) -> str | None:
    """Return below which prefix a failure was absorbed; '' for the step itself; None when it stopped the run."""
    taken = decide.absorb(plan, plan.nodes[step.step_id], step.path)
    if taken is None:
        return ""
    return None if taken.scope == "run" else taken.prefix


def _reopened(plan: Plan, step: StepRun, open_paths: set[str], *, has_children: bool) -> Reopened:
    if has_children:
        if step.state == "failed":  # its children had ended; collecting them failed
            return Reopened(step, "ready", settling=True)
        return Reopened(step, "waiting", reason="children")
    prefix = step.path[: len(step.path) - len(step.step_id)]
    needs = plan.nodes[step.step_id].step.needs
    left = sum(prefix + need in open_paths for need in needs)
    ready = step.state == "failed" or (left == 0 and not step.held)
    return Reopened(step, "ready" if ready else "pending", waiting_on=0 if ready else left)


def _lead_on(run: Run, *, actor: Actor, reason: str, steps: Sequence[str]) -> None:
    """Set the run going again."""
    moved = Run.objects.filter(pk=run.pk, state__in=RETRIED).update(
        state="running",
        stopping="",
        error=None,
        output_hash=None,
        ended_at=None,
        cost_usd=None,
        tokens=None,
        events=F("events") + 1,
    )
    assert moved == 1, "the row is locked"
    data = {"by": str(actor), "reason": reason, "steps": list(steps)}
    JournalEvent.objects.create(run_id=run.pk, type="run.retried", n=run.events + 1, data=data)


def _write(run: Run, each: Reopened) -> None:
    step = each.step
    StepRun.objects.filter(pk=step.pk, state=step.state).update(
        state=each.state,
        reason=each.reason,
        waiting_on=each.waiting_on,
        settling=each.settling,
        alone=False,
        failures=0,
        losses=0,
        error=None,
        ended_at=None,
        wake_at=None,
        ready_at=Now() if each.state == "ready" else None,
        rung_at=None,
        rings=0,
        events=F("events") + 1,
    )
    JournalEvent.objects.create(
        run_id=run.pk,
        type="step.reopened",
        step=step.path,
        epoch=step.epoch,
        n=step.events + 1,
        data={"state": each.state},
    )


def resolve(run_id: str, path: str, *, action: Action, actor: Actor, reason: str, output: Json = None) -> Run:
    """Settle a step whose outside effect is unknown: by what a person found out, or by doing it again.

    `supply` takes `output` for the step's; `retry` sends the call again, under the same idempotency key.

    Raises:
        UnknownObject: no such run or step.
        Conflict: the step is not unknown.
        Invalid: the action is none of the four, or no reason is given.
    """
    step = _step(run_id, path)
    if action not in ("supply", "skip", "retry", "fail"):
        raise Invalid(f"Action {action!r}: supply, skip, retry or fail is expected.", code="unknown_action")
    if not reason.strip():
        raise Invalid("A reason is needed; it goes to the audit log.", code="reason_missing")
    if step.state != "unknown":
        raise Conflict(
            f"Step {path} of run {run_id} is {step.state}; only a step whose outcome is unknown can be resolved.",
            code="step_not_unknown",
        )
    moved = _send_again(step) if action == "retry" else _settle(step, _outcome(action, output, reason))
    if not moved:
        raise Conflict(f"Step {path} of run {run_id} was resolved a moment ago.", code="step_not_unknown")
    data = {"step": path, "action": action}
    audit.record(actor, "step.resolve", "run", run_id, reason=clean_text(reason, limit=1000), data=data)
    hints.tell(run_id)
    return runs.get(run_id)


def _step(run_id: str, path: str) -> StepRun:
    runs.get(run_id)
    step = (
        StepRun.objects.filter(run_id=run_id, path=path, superseded=False).first()
        if "\x00" not in path
        else None
    )
    if step is None:
        raise UnknownObject(f"Run {run_id} has no step {clean_text(path, limit=200)}.", code="unknown_step")
    return step


def _outcome(action: str, output: Json, reason: str) -> Outcome:
    if action == "supply":
        return Succeeded(output=output, data={"supplied": True})
    if action == "skip":
        return Skipped()
    message = f"Resolved as failed: {clean_text(reason, limit=500)}"
    return Failed(error=StepError(error_class="resolved_as_failed", message=message))


def _send_again(step: StepRun) -> bool:
    moved = StepRun.objects.filter(pk=step.pk, state="unknown").update(
        state="ready", reason="", error=None, ready_at=Now(), rung_at=None, rings=0, events=F("events") + 1
    )
    if moved:
        JournalEvent.objects.create(
            run_id=step.run_id,
            type="step.reopened",
            step=step.path,
            epoch=step.epoch,
            n=step.events + 1,
            data={"state": "ready"},
        )
        dispatch.ring([step.pk])
    return bool(moved)


def _settle(step: StepRun, outcome: Outcome) -> bool:
    """Commit an outcome in place of the attempt whose effect is unknown."""
    row: Mapping[str, Json] = database.call("interlock_claim_of", step.pk)
    claim = commit.Claim.from_row(row)
    trying = execute.begin(Active(claim, until=0.0), Known())
    change = changes.of(trying, outcome, Spent())
    committed = commit.apply(
        claim, change, worker="", lease_s=settings.LEASE_S, go_on=False, next_lease=uuid.uuid4()
    )
    if committed.applied:
        execute.follow(claim, committed)
    return committed.applied
