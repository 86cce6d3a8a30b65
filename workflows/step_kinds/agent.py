"""`agent`: a model and its tools, turn by turn, until it answers.

Each turn and each tool call is a step run of its own below the agent (`research/turn[3]`, `research/turn[3]/tool[0]`),
so that a crash repeats neither: a turn's commit lays out its calls and the turn after them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from providers import validation
from providers.messages import Message, Request, Response, ToolCall, ToolSpec
from workflows import payloads
from workflows.engine.bundle import Bundle
from workflows.engine.outcomes import Child, Expanded, StepFailure, Succeeded
from workflows.engine.plan import Node
from workflows.engine.port import Port
from workflows.spec import schema, secret_fields, templates
from workflows.spec.step_bodies import AgentBody
from workflows.spec.workflow import StepDef
from workflows.step_kinds import conversation, masked, prompt
from workflows.step_kinds.base import Scope
from workflows.step_kinds.conversation import Conversation
from workflows.tools.config import Tool

Json = Any
TURN: Final = "turn"
CALL: Final = "call"
INNER: Final = frozenset({TURN, CALL})
# So many turns in a row without one call that could be made, or one answer that fits, and the agent is given up.
MAX_REFUSALS: Final = 3


def expand(node: Node, bundle: Bundle, path: str, scope: Scope, *, frame: str | None) -> Expanded:
    """Render the first messages, of every agent that may speak, and lay out the first turn.

    Raises:
        StepFailure, TemplateError: as for a prompt.
    """
    body = agent_body(node.step)
    variables = templates.render(body.with_, scope)
    speakers = {
        ref: prompt.rendered(ref, _known(variables, bundle, ref), bundle, scope, step_id=node.step.id)
        for ref in (body.prompt, *body.agents)
    }
    given = {
        "agents": speakers,
        "route": body.route,
        "tools": {ref: bundle.versions[f"tools/{ref}"] for ref in body.tools},
    }
    return Expanded(
        input=given,
        children=[_turn_row(node, path, 0, waiting_on=0, frame=frame)],
        wake_s=node.step.timeout_s,
        data={"prompt": body.prompt},
    )


def turn(
    node: Node,
    bundle: Bundle,
    number: int,
    given: Json,
    said: Conversation,
    port: Port,
    *,
    path: str,
    frame: str | None,
    spent_usd: Decimal,
) -> Succeeded:
    """Ask the model once more, and lay out the calls that it wants and the turn after them. `path`: the agent's.

    Raises:
        StepFailure: `max_turns`, `budget_exceeded`, `invalid_tool_calls`, `schema_invalid`.
        ProviderError.
    """
    body = agent_body(node.step)
    if body.max_cost_usd is not None and spent_usd >= Decimal(body.max_cost_usd):
        raise StepFailure(
            f"Agent {node.step.id} has spent {spent_usd} USD in {number} turns; its `max_cost` is {body.max_cost_usd}.",
            error_class="budget_exceeded",
        )
    speaker = said.agent or body.prompt
    messages = conversation.messages(given["agents"][speaker]["messages"], said)
    request = Request(
        messages=messages,
        params=given["agents"][speaker]["params"],
        output_schema=None if body.tools or body.agents else _schema(body, given, speaker),
        tools=_specs(body, bundle, speaker),
    )
    response = port.model(bundle.routes[body.route], request)
    recorded = _recorded(response, body, bundle, given, speaker)
    return _laid_out(
        node, recorded, said, number, path=path, frame=frame, seen=_digest(messages), bundle=bundle
    )


def _known(variables: Mapping[str, Json], bundle: Bundle, reference: str) -> dict[str, Json]:
    """Return those of the variables that a prompt declares: an agent's `with` is shared by all that may speak."""
    declared = bundle.prompts[reference].get("variables", {})
    return {name: value for name, value in variables.items() if name in declared}


def _schema(body: AgentBody, given: Json, speaker: str) -> Mapping[str, Json] | None:
    found: Mapping[str, Json] | None = (
        body.output if body.output is not None else given["agents"][speaker]["output"]
    )
    return found


def _specs(body: AgentBody, bundle: Bundle, speaker: str) -> tuple[ToolSpec, ...]:
    own = tuple(
        ToolSpec(name=ref.split("@")[0], description=tool.description, input=_input(tool))
        for ref, tool in ((ref, bundle.tools[ref]) for ref in body.tools)
    )
    others = (body.prompt, *body.agents)
    return own + tuple(conversation.hand_over_spec(ref) for ref in others if ref != speaker and body.agents)


def _input(tool: Tool) -> Mapping[str, Json]:
    return tool.input_schema if isinstance(tool.input_schema, Mapping) else {"type": "object"}


def _recorded(
    response: Response, body: AgentBody, bundle: Bundle, given: Json, speaker: str
) -> dict[str, Json]:
    """Return what is kept of a turn: what was said, which calls can be made, which cannot and why."""
    calls = _distinct(response.tool_calls)
    refused = {call.id: problem for call in calls if (problem := _problem(call, body, bundle, speaker))}
    handed = next(
        (
            ref
            for call in calls
            for ref in _others(body, speaker)
            if call.name == conversation.hand_over_name(ref)
        ),
        None,
    )
    recorded: dict[str, Json] = {
        "agent": speaker,
        "text": response.text,
        "tool_calls": [
            {
                "id": call.id,
                "name": call.name,
                "arguments": call.arguments,
                "raw_arguments": call.raw_arguments if call.arguments is None else "",
            }
            for call in calls
        ],
        "refused": refused,
        "handed_to": handed,
        "model": response.model_returned or response.model_requested,
    }
    if response.reasoning is not None:
        recorded["reasoning"] = response.reasoning
    wanted = _schema(body, given, speaker)
    if not calls and wanted is not None:
        checked = validation.check(response.text, wanted)
        recorded["value"] = checked.value if checked.is_valid else None
        if not checked.is_valid:
            recorded["problems"] = validation.repair_message(checked.problems).text()
    return recorded


def _distinct(calls: tuple[ToolCall, ...]) -> list[ToolCall]:
    """Give every call an id of its own: some servers repeat one."""
    seen: set[str] = set()
    found = []
    for position, call in enumerate(calls):
        id = call.id if call.id and call.id not in seen else f"{call.id or 'call'}_{position}"
        seen.add(id)
        found.append(
            ToolCall(id=id, name=call.name, arguments=call.arguments, raw_arguments=call.raw_arguments)
        )
    return found


def _others(body: AgentBody, speaker: str) -> list[str]:
    return [ref for ref in (body.prompt, *body.agents) if ref != speaker] if body.agents else []


def _problem(call: ToolCall, body: AgentBody, bundle: Bundle, speaker: str) -> str | None:
    """Why a call cannot be made, told to the model; None: it can."""
    tools = {ref.split("@")[0]: bundle.tools[ref] for ref in body.tools}
    others = [conversation.hand_over_name(ref) for ref in _others(body, speaker)]
    if call.name in others:
        return None
    if call.name not in tools:
        return f"There is no tool {call.name!r}; there are: {', '.join([*tools, *others]) or 'none'}."
    if call.arguments is None:
        return f"The arguments are no JSON object: {call.raw_arguments[:200]!r}."
    declared, arguments = tools[call.name].input_schema, dict(call.arguments)
    problems = schema.errors(declared, arguments) and secret_fields.problems_apart(declared, arguments)
    if problems:
        told = "; ".join(f"{where or 'arguments'}: {message}" for where, message in problems[:5])
        return f"The arguments do not fit the tool's schema: {told}"
    return None


def _laid_out(
    node: Node,
    recorded: dict[str, Json],
    said: Conversation,
    number: int,
    *,
    path: str,
    frame: str | None,
    seen: str,
    bundle: Bundle,
) -> Succeeded:
    """Return the turn's outcome, with the rows that follow it; none when the agent has answered."""
    after = Conversation(turns=(*said.turns, recorded), calls=(*said.calls, {}))
    if after.refusals() >= MAX_REFUSALS:
        kind = "schema_invalid" if recorded.get("problems") else "invalid_tool_calls"
        told = recorded.get("problems") or "; ".join(recorded["refused"].values())
        raise StepFailure(
            f"Agent {node.step.id} came to nothing in {MAX_REFUSALS} turns in a row: {told[:1000]}",
            error_class=kind,
        )
    rows = _rows_after(node, recorded, number, path=path, frame=frame)
    return Succeeded(
        output=recorded,
        input={"turn": number, "agent": recorded["agent"], "messages": seen},
        lineage=uses(bundle, recorded["agent"]),
        data={"model": recorded["model"], "calls": len(recorded["tool_calls"])},
        beside=rows,
    )


def uses(bundle: Bundle, speaker: str) -> list[tuple[str, str]]:
    """Return what a turn uses: the version of the prompt that speaks."""
    return [("prompt", f"{speaker}@{bundle.versions[f'prompts/{speaker}']}")]


def _rows_after(
    node: Node, recorded: Mapping[str, Json], number: int, *, path: str, frame: str | None
) -> list[Child]:
    """Return the calls of a turn and the turn after them; nothing when the agent has answered.

    Raises:
        StepFailure: `max_turns`.
    """
    if not recorded["tool_calls"] and not recorded.get("problems"):
        return []
    if number + 1 >= agent_body(node.step).max_turns:
        raise StepFailure(
            f"Agent {node.step.id} has not answered within its {agent_body(node.step).max_turns} turns.",
            error_class="max_turns",
        )
    rows = [
        _call_row(node, path, number, position, frame=frame)
        for position, call in enumerate(recorded["tool_calls"])
        if call["id"] not in recorded["refused"] and not call["name"].startswith(conversation.HAND_OVER)
    ]
    return [*rows, _turn_row(node, path, number + 1, waiting_on=len(rows), frame=frame)]


def _digest(messages: tuple[Message, ...]) -> str:
    """Return one hash for the whole conversation: what the turn saw, without storing it again."""
    running = hashlib.sha256()
    for message in messages:
        running.update(payloads.digest([message.role, message.text(), [c.id for c in message.tool_calls]]))
    return running.hexdigest()


def called(bundle: Bundle, node: Node, recorded: Mapping[str, Json], position: int) -> dict[str, Json]:
    """Return the rendered input of a tool call: `{tool, version, arguments, id}`."""
    wanted = recorded["tool_calls"][position]
    ref = tool_ref(node.step, wanted["name"])
    fits = not schema.errors(bundle.tools[ref].input_schema, wanted["arguments"])
    return {
        "tool": ref,
        "version": bundle.versions[f"tools/{ref}"],
        "arguments": wanted["arguments"],
        "id": wanted["id"],
        **({} if fits else {masked.MASKED: True}),
    }


def tool_ref(step: StepDef, name: str) -> str:
    """Return the reference by which the agent names the tool that its model calls `name`."""
    return next(ref for ref in agent_body(step).tools if ref.split("@")[0] == name)


def settle(below: conversation.Views) -> Succeeded:
    """Give the answer of the last turn: its value where there is a schema, else `{text}`."""
    turns = {
        number: view
        for path, view in below.items()
        for _, number, call in [conversation.located(path)]
        if call is None
    }
    last = max(turns)
    answer = turns[last]["output"]
    output = answer["value"] if "value" in answer else {"text": answer["text"]}
    return Succeeded(output=output, data={"turns": last + 1})


def _turn_row(node: Node, path: str, number: int, *, waiting_on: int, frame: str | None) -> Child:
    return Child(
        path=f"{path}/turn[{number}]",
        step_id=node.step.id,
        kind=TURN,
        ordinal=node.ordinal,
        waiting_on=waiting_on,
        frame=frame,
    )


def _call_row(node: Node, path: str, number: int, position: int, *, frame: str | None) -> Child:
    return Child(
        path=f"{path}/turn[{number}]/tool[{position}]",
        step_id=node.step.id,
        kind=CALL,
        ordinal=node.ordinal,
        waiting_on=0,
        frame=frame,
    )


def limit_s(kind: str, step: StepDef, bundle: Bundle) -> float:
    """Return the longest that one turn or call may take, in seconds."""
    body = agent_body(step)
    if kind == TURN:
        return bundle.routes[body.route].deadline_s
    return max((bundle.tools[ref].timeout_s for ref in body.tools), default=60.0)


def agent_body(step: StepDef) -> AgentBody:
    assert isinstance(step.body, AgentBody)
    return step.body
