"""`wait`: for a time, until a moment, or for a signal that somebody sends to the run."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from workflows.engine.bundle import Bundle
from workflows.engine.outcomes import Parked, StepFailure
from workflows.engine.port import Port
from workflows.spec import durations, templates
from workflows.spec.step_bodies import WaitBody
from workflows.spec.workflow import StepDef
from workflows.step_kinds.base import Acted, LeafKind, Scope

Json = Any
LONGEST_S: Final = 10 * 366 * 86_400.0


def prepare(step: StepDef, bundle: Bundle, scope: Scope) -> Json:
    """Render what is waited for: `{for_s}`, `{until}` or `{signal, timeout_s}`.

    Raises:
        StepFailure: `input_invalid`: no duration, no time, or too long.
    """
    body = _body(step)
    if body.signal is not None:
        return {"signal": body.signal, "timeout_s": body.timeout_s}
    if body.for_ is not None:
        return {"for_s": _seconds(step, templates.render(body.for_, scope))}
    return {"until": _moment(step, templates.render(body.until_time, scope))}


def act(step: StepDef, bundle: Bundle, prepared: Json, port: Port) -> Acted | Parked:
    if (known := port.waited()) is not None:
        return Acted(output=known.output, data=known.told())
    if "signal" in prepared:
        return Parked(
            reason="signal", input=prepared, awaits=prepared["signal"], wake_s=prepared["timeout_s"]
        )
    return Parked(reason="time", input=prepared, wake_s=prepared.get("for_s"), wake_at=prepared.get("until"))


def settle(step: StepDef, bundle: Bundle, prepared: Json, port: Port) -> Acted:
    """Give the signal; null where time alone was waited for, or ran out."""
    answer = port.answer()
    if answer is None:
        return Acted(output={"signal": None, "payload": None}, data={"timed_out": "signal" in prepared})
    return Acted(output={"signal": prepared["signal"], "payload": answer["payload"]})


def _seconds(step: StepDef, value: Json) -> float:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    try:
        found = float(number) if number is not None else durations.seconds(str(value))
    except ValueError:
        raise StepFailure(
            f"Step {step.id} is to wait for {str(value)[:80]!r}: {durations.EXPECTED}, "
            "or a number of seconds, is expected.",
            error_class="input_invalid",
        ) from None
    if not 0 <= found <= LONGEST_S:
        raise StepFailure(
            f"Step {step.id} is to wait for {found:g} s; from 0 to ten years are possible.",
            error_class="input_invalid",
        )
    return found


def _moment(step: StepDef, value: Json) -> str:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise StepFailure(
            f"Step {step.id} is to wait until {str(value)[:80]!r}: a time with its offset is expected, "
            "such as 2026-11-25T08:00:00Z.",
            error_class="input_invalid",
        )
    return found.isoformat()


def _body(step: StepDef) -> WaitBody:
    assert isinstance(step.body, WaitBody)
    return step.body


KIND = LeafKind(prepare=prepare, act=act, settle=settle, limit_s=lambda step, bundle: 30.0)
