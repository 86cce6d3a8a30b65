"""Settle a step that the system cannot decide about: one that failed, or whose outside effect is unknown."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any, Literal

from django.conf import settings

from workflows import audit, database, runs, sealing, states
from workflows.actor import Actor
from workflows.engine import attempt, bundle, changes, commit, dispatch, execute, hints
from workflows.engine.outcomes import Failed, Skipped, StepError, Succeeded
from workflows.engine.port import Spent
from workflows.errors import Conflict, Invalid
from workflows.models import Run, StepRun
from workflows.payloads import clean_text
from workflows.recovery import evidence, retrying
from workflows.spec import schema

Json = Any
Action = Literal["supply", "skip", "retry", "fail"]


def resolve(run_id: str, path: str, *, action: Action, actor: Actor, reason: str, output: Json = None) -> Run:
    """Settle a step that failed, or whose outside effect is unknown: by what a person says, or by doing it again.

    `supply` takes `output` for the step's; `retry` sends the call again, under the same idempotency key. A run that
    has failed goes on with it.

    Raises:
        UnknownObject: no such run or step.
        Conflict: the step neither failed nor is it unknown, its failure did not stop anything, it should run again
            and its run does not go on, or the run's secrets cannot be read.
        Invalid: the action is none of the four, no reason is given, or the output does not fit the step's schema.
    """
    step = evidence.find(run_id, path)
    if action not in ("supply", "skip", "retry", "fail"):
        raise Invalid(f"Action {action!r}: supply, skip, retry or fail is expected.", code="unknown_action")
    if not reason.strip():
        raise Invalid("A reason is needed; it goes to the audit log.", code="reason_missing")
    veil = sealing.of_run(step.run)
    if action == "supply":
        _check_output(step, veil.reveal(output))
    output, reason = veil.scrub(output), veil.scrub(reason)
    if not _moved(step, action, output, actor=actor, reason=reason):
        raise Conflict(f"Step {path} of run {run_id} was resolved a moment ago.", code="step_not_unknown")
    data = {"step": path, "action": action}
    audit.record(actor, "step.resolve", "run", run_id, reason=clean_text(reason, limit=1000), data=data)
    hints.tell(run_id)
    return runs.get(run_id)


def _moved(step: StepRun, action: Action, output: Json, *, actor: Actor, reason: str) -> bool:
    """Carry the decision out. False: somebody else did, a moment ago. Raises: Conflict."""
    if step.state == "unknown":
        return _send_again(step) if action == "retry" else _settle(step, _outcome(action, output, reason))
    if step.state != "failed" or action == "fail":
        raise Conflict(
            f"Step {step.path} of run {step.run_id} is {step.state}; only a step that failed can be resolved, "
            "or one whose outcome is unknown.",
            code="step_not_unknown",
        )
    held = None if action == "retry" else step.path
    retrying.lead_on(step.run_id, actor=actor, reason=reason, held=held)
    if action == "retry":
        return True
    step.refresh_from_db()
    return _settle(step, _outcome(action, output, reason))


def _check_output(step: StepRun, output: Json) -> None:
    """Hold a supplied output against the step's schema. Raises: Invalid, with each path."""
    loaded = bundle.load(step.run.release_id)
    declared = evidence.expected_output(step, loaded, evidence.acted_on(step))
    problems = schema.errors(declared, output) if declared is not None else ()
    if problems:
        raise Invalid(
            f"The output does not fit the schema of step {step.path}.",
            code="output_invalid",
            errors=tuple((f"output.{path}" if path else "output", message) for path, message in problems),
        )


def _outcome(action: str, output: Json, reason: str) -> Succeeded | Skipped | Failed:
    if action == "supply":
        return Succeeded(output=output, data={"resolved": "supply"})
    if action == "skip":
        return Skipped(data={"resolved": "skip"})
    message = f"Resolved as failed: {clean_text(reason, limit=500)}"
    return Failed(error=StepError(error_class="resolved_as_failed", message=message))


def _send_again(step: StepRun) -> bool:
    """Let the step begin once more, as soon as its run goes on. Raises: Conflict: it does not."""
    state = database.call("interlock_reopen", step.pk)
    if state == "ready":
        dispatch.ring([step.pk])
    if state is None:
        _check_goes_on(step)
    return state is not None


def _check_goes_on(step: StepRun) -> None:
    run = runs.get(step.run_id)
    if run.state in states.RUN_ENDED or (run.stopping and not step.at_end):
        state = f"{run.state}, and is being stopped" if run.stopping else run.state
        raise Conflict(
            f"Run {run.pk} is {state}: nothing begins in it, and step {step.path} neither. Say what came of its "
            "call, or retry the run once it has ended, and then the step.",
            code="run_not_active",
        )


def _settle(step: StepRun, outcome: Succeeded | Skipped | Failed) -> bool:
    """Commit an outcome in place of the attempt whose effect is unknown."""
    trying = evidence.attempt_of(step)
    claim = trying.claim
    if claim.input_hash is None and not isinstance(outcome, Skipped):  # its worker died before it could say
        trying.input = attempt.rendered(trying)
        if trying.input is not None:
            outcome = replace(outcome, input=trying.input, lineage=attempt.used(trying))
    change = changes.of(trying, outcome, Spent())
    committed = commit.apply(
        claim, change, worker="", lease_s=settings.LEASE_S, go_on=False, next_lease=uuid.uuid4()
    )
    if committed.applied:
        execute.follow(claim, committed)
    return committed.applied
