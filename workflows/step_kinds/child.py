"""`workflow`: run another workflow as a child run, on the release that the parent's release pins."""

from __future__ import annotations

from typing import Any

from workflows.engine.bundle import Bundle
from workflows.engine.outcomes import Parked, StepFailure
from workflows.engine.port import ChildRun, Port
from workflows.spec import schema, templates
from workflows.spec.step_bodies import ChildBody
from workflows.spec.workflow import StepDef
from workflows.step_kinds import masked
from workflows.step_kinds.base import Acted, LeafKind, Scope

Json = Any
CLOCKS_S = 0.05  # the timer was set a moment before the child was created


def prepare(step: StepDef, bundle: Bundle, scope: Scope) -> Json:
    """Render the child's input and hold it against its schema.

    Raises:
        StepFailure: `input_invalid`, with each path.
    """
    body = _body(step)
    given = templates.render(body.with_, scope)
    loaded = bundle.child(body.workflow, body.release)
    found = masked.check(_schema(loaded), given, _what(body.workflow))
    check(loaded, given)
    return {"workflow": body.workflow, "release": body.release, "input": given, **found}


def check(loaded: Bundle, given: Json) -> None:
    """A child run's secret fields take secrets of this run alone. Raises: StepFailure."""
    definition = loaded.plan.definition
    if definition.secrets:
        masked.check_secrets(given, definition.secrets, definition.name)


def _schema(loaded: Bundle) -> schema.Schema:
    return loaded.plan.definition.input_schema or {}


def _what(workflow: str) -> str:
    return f"The input for workflow {workflow} does"


def act(step: StepDef, bundle: Bundle, prepared: Json, port: Port) -> Parked:
    """Start the child in the commit that parks this step: there is exactly one, whatever crashes."""
    loaded = bundle.child(prepared["workflow"], prepared["release"])
    if masked.MASKED in prepared:
        masked.check_revealed(_schema(loaded), prepared["input"], _what(prepared["workflow"]), port)
    child = port.child(loaded, prepared["input"])
    return Parked(
        reason="child",
        input=prepared,
        child=child,
        child_input=prepared["input"],
        wake_s=step.timeout_s,
        data={"run": child["id"]},
    )


def settle(step: StepDef, bundle: Bundle, prepared: Json, port: Port) -> Acted | Parked:
    """Give the output of the child that has ended."""
    return taken_in(port.child_state(), prepared, timeout_s=step.timeout_s)


def taken_in(child: ChildRun, prepared: Json, *, timeout_s: float | None) -> Acted | Parked:
    """Give what a child run came to; wait on where the step was woken too early.

    Raises:
        StepFailure: the child's own error class, `child_cancelled`, or `timeout`.
    """
    lineage = [("run", child.id)]
    if child.state == "succeeded":
        return Acted(output=child.output, lineage=lineage, data={"run": child.id})
    if child.state == "failed":
        error = child.error or {}
        raise StepFailure(
            f"Child run {child.id} failed: {error.get('message', 'its error is not recorded.')}",
            error_class=str(error.get("class", "child_failed")),
        )
    if child.state == "cancelled":
        raise StepFailure(f"Child run {child.id} was cancelled.", error_class="child_cancelled")
    if timeout_s is not None and child.age_s >= timeout_s - CLOCKS_S:
        raise StepFailure(
            f"Child run {child.id} did not end within the step's time-out and is cancelled.",
            error_class="timeout",
        )
    left_s = None if timeout_s is None else timeout_s - child.age_s
    return Parked(reason="child", input=prepared, wake_s=left_s)


def _body(step: StepDef) -> ChildBody:
    assert isinstance(step.body, ChildBody)
    return step.body


KIND = LeafKind(prepare=prepare, act=act, settle=settle, limit_s=lambda step, bundle: 60.0)
