"""An agent's conversation, put together from what its turns and tool calls have left. Pure.

Turns are recorded as `{agent, text, tool_calls: [{id, name, arguments}], refused: {id: message}, handed_to, value,
problems, reasoning}`; calls of tools as step runs of their own, `PATH/turn[3]/tool[0]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from providers.messages import Message, ToolCall, ToolSpec

Json = Any
Views = Mapping[str, Mapping[str, Json]]
HAND_OVER: Final = "transfer_to_"
_INNER: Final = re.compile(r"(?P<agent>.*)/turn\[(?P<turn>\d+)\](?:/tool\[(?P<call>\d+)\])?\Z")
MAX_RESULT: Final = 200_000  # characters of a tool's result that the model is shown


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What has been said so far: recorded turns in order, and what came of each turn's calls by their position."""

    turns: tuple[Mapping[str, Json], ...]
    calls: tuple[Mapping[int, Mapping[str, Json]], ...]

    @property
    def agent(self) -> str | None:
        """The prompt that speaks next where somebody was handed over to; None: the agent's own."""
        handed = [turn["handed_to"] for turn in self.turns if turn.get("handed_to")]
        return handed[-1] if handed else None

    def refusals(self) -> int:
        """Return how many turns in a row, up to now, had nothing but calls that could not be made."""
        count = 0
        for turn in reversed(self.turns):
            wrong = len(turn.get("refused", {})) == len(turn["tool_calls"]) and not turn.get("handed_to")
            if not (wrong or turn.get("problems")):
                break
            count += 1
        return count


def located(path: str) -> tuple[str, int, int | None]:
    """Return, of a step run inside an agent, the agent's path, the turn, and the position of a call in it."""
    match = _INNER.match(path)
    assert match is not None, path
    return match["agent"], int(match["turn"]), None if match["call"] is None else int(match["call"])


def after_call(path: str) -> str:
    """Return the path of the turn that waits for a tool call."""
    agent, number, _ = located(path)
    return f"{agent}/turn[{number + 1}]"


def read(below: Views, *, before: int) -> Conversation:
    """Read the first `before` turns of an agent from the recorded step runs below it."""
    turns: dict[int, Mapping[str, Json]] = {}
    calls: dict[int, dict[int, Mapping[str, Json]]] = {}
    for each, view in below.items():
        _, number, call = located(each)
        if number >= before:
            continue
        if call is None:
            turns[number] = view["output"]
        else:
            calls.setdefault(number, {})[call] = view
    return Conversation(
        turns=tuple(turns[n] for n in range(before)), calls=tuple(calls.get(n, {}) for n in range(before))
    )


def messages(first: Sequence[Mapping[str, Json]], said: Conversation) -> tuple[Message, ...]:
    """Return the whole message list: the prompt's own, then each turn with the results of its calls."""
    found = [Message(role=each["role"], content=each["content"]) for each in first]
    for turn, made in zip(said.turns, said.calls, strict=True):
        calls = tuple(ToolCall(**call) for call in turn["tool_calls"])
        found.append(
            Message(role="assistant", content=turn["text"], tool_calls=calls, reasoning=turn.get("reasoning"))
        )
        for position, call in enumerate(calls):
            result = _result(turn, call, made.get(position))
            found.append(Message(role="tool", content=result, tool_call_id=call.id))
        if turn.get("problems"):
            found.append(Message(role="user", content=turn["problems"]))
    return tuple(found)


def _result(turn: Mapping[str, Json], call: ToolCall, view: Mapping[str, Json] | None) -> str:
    """Return what the model is told of a call: the output, or why there is none."""
    refused = turn.get("refused", {})
    if call.id in refused:
        return json.dumps({"error": refused[call.id]}, ensure_ascii=False)
    if view is None:
        return json.dumps({"handed_to": turn.get("handed_to")})
    if view["state"] == "succeeded":
        output = view["output"]
        text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    else:
        error = view["error"] or {"class": view["state"], "message": "The call was not carried out."}
        text = json.dumps({"error": f"{error['class']}: {error['message']}"}, ensure_ascii=False)
    if len(text) > MAX_RESULT:
        return f"{text[:MAX_RESULT]}\n… cut: the result has {len(text):,} characters."
    return text


def hand_over_name(agent: str) -> str:
    """Return the name of the tool by which a model hands over to another agent."""
    return HAND_OVER + re.sub(r"[^a-zA-Z0-9_]", "_", agent.split("@", maxsplit=1)[0])


def hand_over_spec(agent: str) -> ToolSpec:
    return ToolSpec(
        name=hand_over_name(agent),
        description=f"Hand the conversation over to {agent.split('@', maxsplit=1)[0]}, who goes on from here.",
        input={"type": "object", "properties": {"reason": {"type": "string"}}},
    )
