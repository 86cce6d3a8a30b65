"""`prompt`: one model response, validated where there is an output schema, with bounded repair rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from providers import validation
from providers.config import Route
from providers.messages import Message, Request, Response
from providers.validation import Checked, Problem
from workflows.engine.bundle import Bundle
from workflows.engine.outcomes import StepFailure
from workflows.engine.port import Port
from workflows.spec import prompt_text, templates
from workflows.spec.step_bodies import PromptBody
from workflows.spec.workflow import StepDef
from workflows.step_kinds.base import Acted, LeafKind, Scope, as_text

Json = Any
ROLES: Final = prompt_text.ROLES


def prepare(step: StepDef, bundle: Bundle, scope: Scope) -> Json:
    """Render the prompt: variables from the step's `with`, messages from the pinned prompt version."""
    body = _body(step)
    given = rendered(body.prompt, templates.render(body.with_, scope), bundle, scope, step_id=step.id)
    return {
        **given,
        "route": body.route,
        "params": {**given["params"], **templates.render(body.params, scope)},
        "output": body.output if body.output is not None else given["output"],
    }


def rendered(
    reference: str, variables: Mapping[str, Json], bundle: Bundle, scope: Scope, *, step_id: str
) -> dict[str, Json]:
    """Return a prompt filled in: `{prompt, version, variables, messages, params, output}`.

    Raises:
        StepFailure, TemplateError.
    """
    prompt = bundle.prompts[reference]
    filled = {**prompt_text.defaults(prompt), **variables}
    messages: list[Json] = []
    for message in prompt["messages"]:
        if "insert" in message:
            messages.extend(_inserted(templates.render(message["insert"], {**scope, **filled}), step_id))
        else:
            content = templates.render(message["content"], filled)
            messages.append({"role": message["role"], "content": as_text(content)})
    return {
        "prompt": reference,
        "version": bundle.versions[f"prompts/{reference}"],
        "variables": filled,
        "messages": messages,
        "params": prompt.get("params", {}),
        "output": prompt.get("output"),
    }


def _inserted(value: Json, step_id: str) -> list[Json]:
    """Check the history that `insert` gave. Raises: StepFailure."""
    fits = isinstance(value, list) and all(
        isinstance(each, dict) and each.get("role") in ROLES and isinstance(each.get("content"), str)
        for each in value
    )
    if not fits:
        raise StepFailure(
            f"What step {step_id} inserts is no list of messages: each has a role ({', '.join(ROLES)}) and a content.",
            error_class="input_invalid",
        )
    return [{"role": each["role"], "content": each["content"]} for each in value]


def act(step: StepDef, bundle: Bundle, prepared: Json, port: Port) -> Acted:
    """Ask the route; without a schema the output is `{text}`, with one the value that fits it."""
    route: Route | None = bundle.routes[prepared["route"]]
    problems: Sequence[Problem] = ()
    lineage = uses(prepared)
    while route is not None:
        response, checked = _ask(route, prepared, port, repair=_body(step).repair)
        model = response.model_returned or response.model_requested
        data = {"model": model, "finish": response.finish_reason}
        if checked is None:
            return Acted(output={"text": response.text}, lineage=lineage, data=data)
        if checked.is_valid:
            return Acted(output=checked.value, lineage=lineage, data=data)
        problems = checked.problems
        falls_back = "schema_invalid" in route.fallback_on
        route = route.after(response.provider, response.model_requested) if falls_back else None
    told = "; ".join(map(str, problems[:5]))
    raise StepFailure(f"The answer does not fit the output schema: {told}", error_class="schema_invalid")


def _ask(route: Route, prepared: Json, port: Port, *, repair: int) -> tuple[Response, Checked | None]:
    """Ask, and ask again with what was wrong, as often as `repair` allows. Without a schema nothing is checked."""
    messages = tuple(Message(role=m["role"], content=m["content"]) for m in prepared["messages"])
    schema = prepared["output"]
    while True:
        request = Request(messages=messages, params=prepared["params"], output_schema=schema)
        response = port.model(route, request)
        if schema is None:
            return response, None
        checked = validation.check(response.text, schema)
        if checked.is_valid or not repair:
            return response, checked
        repair -= 1
        messages = (*messages, response.as_message(), validation.repair_message(checked.problems))


def uses(prepared: Json) -> list[tuple[str, str]]:
    """Return what asking uses: the prompt's version."""
    return [("prompt", f"{prepared['prompt']}@{prepared['version']}")]


def limit_s(step: StepDef, bundle: Bundle) -> float:
    body = _body(step)
    return bundle.routes[body.route].deadline_s * (1 + body.repair)


def _body(step: StepDef) -> PromptBody:
    assert isinstance(step.body, PromptBody)
    return step.body


KIND = LeafKind(prepare=prepare, act=act, limit_s=limit_s, uses=uses)
