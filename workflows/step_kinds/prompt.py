"""`prompt`: one model response, validated where there is an output schema, with bounded repair rounds."""

from __future__ import annotations

import json
from typing import Any

from providers.messages import Message, Request
from workflows.engine.bundle import Bundle
from workflows.engine.outcomes import StepFailure
from workflows.engine.port import Port
from workflows.spec import schema as schemas
from workflows.spec import templates
from workflows.spec.workflow import PromptBody, StepDef
from workflows.step_kinds.base import Acted, LeafKind, Scope, as_text

Json = Any


def prepare(step: StepDef, bundle: Bundle, scope: Scope) -> Json:
    """Render the prompt: variables from the step's `with`, messages from the pinned prompt version."""
    body = _body(step)
    prompt = bundle.prompts[body.prompt]
    variables = templates.render(body.with_, scope)
    messages: list[Json] = []
    for message in prompt["messages"]:
        if "insert" in message:
            messages.extend(templates.render(message["insert"], variables))
        else:
            content = templates.render(message["content"], variables)
            messages.append({"role": message["role"], "content": as_text(content)})
    return {
        "prompt": body.prompt,
        "version": bundle.versions[f"prompts/{body.prompt}"],
        "route": body.route,
        "variables": variables,
        "messages": messages,
        "params": {**prompt.get("params", {}), **templates.render(body.params, scope)},
        "output": body.output if body.output is not None else prompt.get("output"),
    }


def act(step: StepDef, bundle: Bundle, prepared: Json, port: Port) -> Acted:
    """Ask the route; without a schema the output is `{text}`, with one the value that fits it."""
    route, schema = bundle.routes[prepared["route"]], prepared["output"]
    messages = tuple(Message(role=m["role"], content=m["content"]) for m in prepared["messages"])
    lineage = [("prompt", f"{prepared['prompt']}@{prepared['version']}")]
    for left in range(_body(step).repair, -1, -1):
        request = Request(messages=messages, params=prepared["params"], output_schema=schema)
        response = port.model(route, request)
        data = {
            "model": response.model_returned or response.model_requested,
            "finish": response.finish_reason,
        }
        if schema is None:
            return Acted(output={"text": response.text}, lineage=lineage, data=data)
        value, problems = _read(response.text, schema)
        if not problems:
            return Acted(output=value, lineage=lineage, data=data)
        if not left:
            raise StepFailure(
                f"The answer does not fit the output schema: {'; '.join(problems[:5])}",
                error_class="schema_invalid",
            )
        correction = Message(role="user", content="That does not fit: " + "; ".join(problems[:20]))
        messages = (*messages, response.as_message(), correction)
    raise AssertionError("unreachable")


def _read(text: str, output: Json) -> tuple[Json, list[str]]:
    try:
        value = json.loads(text)
    except ValueError as error:
        return None, [f"it is not JSON ({error})"]
    return value, [f"{path}: {message}" for path, message in schemas.errors(output, value)]


def limit_s(step: StepDef, bundle: Bundle) -> float:
    body = _body(step)
    return bundle.routes[body.route].deadline_s * (1 + body.repair)


def _body(step: StepDef) -> PromptBody:
    assert isinstance(step.body, PromptBody)
    return step.body


KIND = LeafKind(prepare=prepare, act=act, limit_s=limit_s)
