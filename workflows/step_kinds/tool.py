"""`tool`: call an HTTP endpoint, a Python function or a workflow, once per key where its effect is `once`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workflows.engine.bundle import Bundle
from workflows.engine.outcomes import Parked, StepFailure
from workflows.engine.port import Port
from workflows.spec import schema, templates
from workflows.spec.step_bodies import ToolBody
from workflows.spec.workflow import StepDef
from workflows.step_kinds import child, masked
from workflows.step_kinds.base import Acted, LeafKind, Scope
from workflows.tools.config import Tool

Json = Any


def prepare(step: StepDef, bundle: Bundle, scope: Scope) -> Json:
    """Render the arguments and hold them against the tool's input schema.

    Raises:
        StepFailure: `input_invalid`, with each path.
    """
    body = _body(step)
    arguments = templates.render(body.with_, scope)
    found = masked.check(bundle.tools[body.tool].input_schema, arguments, _what(body.tool))
    return {
        "tool": body.tool,
        "version": bundle.versions[f"tools/{body.tool}"],
        "arguments": arguments,
        **found,
    }


def _what(reference: str) -> str:
    return f"The arguments for tool {reference} do"


def act(step: StepDef, bundle: Bundle, prepared: Json, port: Port) -> Acted | Parked:
    return call(bundle, prepared, port)


def call(bundle: Bundle, prepared: Json, port: Port) -> Acted | Parked:
    """Call the tool that `prepared` names; one that is a workflow starts a child run."""
    tool = bundle.tools[prepared["tool"]]
    if (kept := port.kept(tool, prepared["arguments"])) is not None:
        return Acted(output=kept.output, lineage=uses(prepared), data=kept.told())
    if masked.MASKED in prepared:
        masked.check_revealed(tool.input_schema, prepared["arguments"], _what(prepared["tool"]), port)
    if tool.workflow is not None:
        child.check(bundle.child(tool.workflow), prepared["arguments"])
        run = port.child(bundle.child(tool.workflow), prepared["arguments"])
        return Parked(
            reason="child",
            input=prepared,
            child=run,
            child_input=prepared["arguments"],
            wake_s=tool.timeout_s,
            data={"run": run["id"]},
        )
    output = _fitting(tool, port.tool(tool, prepared["arguments"]), port)
    return Acted(output=output, lineage=uses(prepared))


def _fitting(tool: Tool, output: Json, port: Port) -> Json:
    """Hold what a tool gave against its output schema.

    Raises:
        StepFailure: `output_invalid`; `effect_happened` where the call may not be repeated.
    """
    if tool.output_schema is None or not schema.errors(tool.output_schema, output):
        return output
    problems = port.fits(tool.output_schema, output)
    if not problems:
        return output
    told = "; ".join(f"{path or 'output'}: {message}" for path, message in problems[:5])
    message = f"What tool {tool.name} gave does not fit its output schema: {told}"
    if tool.effect == "once":
        raise StepFailure(
            f"{message}. The call itself succeeded and is not repeated.", error_class="effect_happened"
        )
    raise StepFailure(message, error_class="output_invalid")


def settle(step: StepDef, bundle: Bundle, prepared: Json, port: Port) -> Acted | Parked:
    return take_in(bundle, prepared, port)


def take_in(bundle: Bundle, prepared: Json, port: Port) -> Acted | Parked:
    """Give what the child run came to."""
    timeout_s = bundle.tools[prepared["tool"]].timeout_s
    taken = child.taken_in(port.child_state(), prepared, timeout_s=timeout_s)
    if isinstance(taken, Parked):
        return taken
    output = _fitting(bundle.tools[prepared["tool"]], taken.output, port)
    return replace(taken, output=output, lineage=[*taken.lineage, *uses(prepared)])


def uses(prepared: Json) -> list[tuple[str, str]]:
    """Return what a call of a tool uses: its version."""
    return [("tool", f"{prepared['tool']}@{prepared['version']}")]


def limit_s(step: StepDef, bundle: Bundle) -> float:
    return bundle.tools[_body(step).tool].timeout_s


def _body(step: StepDef) -> ToolBody:
    assert isinstance(step.body, ToolBody)
    return step.body


KIND = LeafKind(prepare=prepare, act=act, settle=settle, limit_s=limit_s, uses=uses)
