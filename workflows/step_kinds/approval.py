"""`approval`: wait for a person's decision."""

from __future__ import annotations

from typing import Any

from workflows.engine.bundle import Bundle
from workflows.engine.outcomes import Parked, StepFailure
from workflows.engine.port import Port
from workflows.payloads import clean_text
from workflows.spec import templates
from workflows.spec.step_bodies import ApprovalBody
from workflows.spec.workflow import StepDef
from workflows.step_kinds.base import Acted, LeafKind, Scope, as_text

Json = Any


def prepare(step: StepDef, bundle: Bundle, scope: Scope) -> Json:
    """Render what the person is asked: `{title, details, fields, group, timeout_s}`."""
    body = _body(step)
    return {
        "title": clean_text(as_text(templates.render(body.title, scope)), limit=500),
        "details": clean_text(as_text(templates.render(body.details, scope)), limit=20_000),
        "fields": body.fields,
        "group": body.group,
        "timeout_s": body.timeout_s,
    }


def act(step: StepDef, bundle: Bundle, prepared: Json, port: Port) -> Acted | Parked:
    if (known := port.waited()) is not None:
        return Acted(output=known.output, data=known.told())
    asked = {key: prepared[key] for key in ("title", "details", "fields", "group")}
    return Parked(
        reason="approval",
        input=prepared,
        approval=asked,
        wake_s=prepared["timeout_s"],
        data={"title": prepared["title"], "group": prepared["group"]},
    )


def settle(step: StepDef, bundle: Bundle, prepared: Json, port: Port) -> Acted:
    """Give the decision: `{approved, by, comment, fields}`; without one, what `on_timeout` says.

    Raises:
        StepFailure: `approval_timeout`.
    """
    answer = port.answer()
    if answer is not None:
        return Acted(output=answer, data={"approved": answer["approved"], "by": answer["by"]})
    on_timeout = _body(step).on_timeout
    if on_timeout == "fail":
        raise StepFailure(
            f"Nobody decided on {prepared['title']!r} in time. Retry the run to ask again.",
            error_class="approval_timeout",
        )
    decided: dict[str, Json] = {"approved": on_timeout == "approve", "by": None, "comment": "", "fields": {}}
    return Acted(output=decided, data={"approved": decided["approved"], "timed_out": True})


def _body(step: StepDef) -> ApprovalBody:
    assert isinstance(step.body, ApprovalBody)
    return step.body


KIND = LeafKind(prepare=prepare, act=act, settle=settle, limit_s=lambda step, bundle: 30.0)
