"""`tool`: call an HTTP endpoint or a Python function, once per key where its effect is `once`."""

from __future__ import annotations

from typing import Any

from workflows.engine.bundle import Bundle
from workflows.engine.outcomes import StepFailure
from workflows.engine.port import Port
from workflows.spec import schema, templates
from workflows.spec.workflow import StepDef, ToolBody
from workflows.step_kinds.base import Acted, LeafKind, Scope

Json = Any


def prepare(step: StepDef, bundle: Bundle, scope: Scope) -> Json:
    """Render the arguments and hold them against the tool's input schema.

    Raises:
        StepFailure: `input_invalid`, with each path.
    """
    body = _body(step)
    arguments = templates.render(body.with_, scope)
    problems = schema.errors(bundle.tools[body.tool].input_schema, arguments)
    if problems:
        told = "; ".join(f"{path}: {message}" for path, message in problems[:5])
        raise StepFailure(
            f"The arguments for tool {body.tool} do not fit its input schema: {told}",
            error_class="input_invalid",
        )
    return {
        "tool": body.tool,
        "version": bundle.versions[f"tools/{body.tool}"],
        "arguments": arguments,
    }


def act(step: StepDef, bundle: Bundle, prepared: Json, port: Port) -> Acted:
    output = port.tool(bundle.tools[prepared["tool"]], prepared["arguments"])
    return Acted(output=output, lineage=[("tool", f"{prepared['tool']}@{prepared['version']}")])


def limit_s(step: StepDef, bundle: Bundle) -> float:
    return bundle.tools[_body(step).tool].timeout_s


def _body(step: StepDef) -> ToolBody:
    assert isinstance(step.body, ToolBody)
    return step.body


KIND = LeafKind(prepare=prepare, act=act, limit_s=limit_s)
