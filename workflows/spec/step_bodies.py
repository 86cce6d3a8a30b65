"""What a step that does something itself holds, by kind (pure). Containers are in `workflow`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from workflows.spec.durations import optional_seconds

Json = Any
OnTimeout = Literal["approve", "reject", "fail"]
DEFAULT_AGENT_TURNS = 20


@dataclass(frozen=True, kw_only=True)
class PromptBody:
    prompt: str
    route: str
    with_: Mapping[str, Json] = field(default_factory=dict)
    params: Mapping[str, Json] = field(default_factory=dict)
    output: Mapping[str, Json] | None = None
    repair: int = 0


@dataclass(frozen=True, kw_only=True)
class RetrieveBody:
    corpus: str
    query: str
    top_k: int = 8
    mode: str = "hybrid"
    index: str = "auto"
    filter: Mapping[str, Json] | None = None
    min_score: float | None = None


@dataclass(frozen=True, kw_only=True)
class ToolBody:
    tool: str
    with_: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SetBody:
    values: Mapping[str, Json]


@dataclass(frozen=True, kw_only=True)
class ChildBody:
    """Another workflow; `release` None: the one that the parent's release pins."""

    workflow: str
    with_: Mapping[str, Json] = field(default_factory=dict)
    release: int | None = None


@dataclass(frozen=True, kw_only=True)
class ApprovalBody:
    """`fields`: the JSON Schema of the form that a person fills in; `group` '': any operator."""

    title: str
    details: str = ""
    fields: Mapping[str, Json] | None = None
    group: str = ""
    timeout_s: float | None = None
    on_timeout: OnTimeout = "reject"


@dataclass(frozen=True, kw_only=True)
class WaitBody:
    """Exactly one of `for_`, `until_time`, `signal`; `timeout_s` is for a signal."""

    for_: str | None = None
    until_time: str | None = None
    signal: str | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class MemoryBody:
    """`key` and `value` are templates; `value` may name `current`."""

    operation: Literal["read", "write", "append", "delete"]
    scope: Literal["session", "workflow", "global"]
    key: str
    value: Json = None
    on_conflict: Literal["fail", "retry", "overwrite"] = "fail"


@dataclass(frozen=True, kw_only=True)
class AgentBody:
    """`prompt` gives the first messages; `agents` are prompts that it may hand over to."""

    prompt: str
    route: str
    with_: Mapping[str, Json] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    max_turns: int = DEFAULT_AGENT_TURNS
    max_cost_usd: str | None = None
    output: Mapping[str, Json] | None = None


LeafBody = (
    PromptBody
    | RetrieveBody
    | ToolBody
    | SetBody
    | ChildBody
    | ApprovalBody
    | WaitBody
    | MemoryBody
    | AgentBody
)


def prompt(step: Mapping[str, Json]) -> PromptBody:
    return PromptBody(
        prompt=step["prompt"],
        route=step["route"],
        with_=step.get("with", {}),
        params=step.get("params", {}),
        output=step.get("output"),
        repair=step.get("repair", 0),
    )


def retrieve(step: Mapping[str, Json]) -> RetrieveBody:
    given = {key: step[key] for key in ("top_k", "mode", "index", "filter", "min_score") if key in step}
    return RetrieveBody(corpus=step["retrieve"], query=step["query"], **given)


def child(step: Mapping[str, Json]) -> ChildBody:
    return ChildBody(workflow=step["workflow"], with_=step.get("with", {}), release=step.get("release"))


def approval(step: Mapping[str, Json]) -> ApprovalBody:
    body = step["approval"]
    given = {key: body[key] for key in ("details", "fields", "group", "on_timeout") if key in body}
    return ApprovalBody(title=body["title"], timeout_s=optional_seconds(body.get("timeout")), **given)


def wait(step: Mapping[str, Json]) -> WaitBody:
    body = step["wait"]
    return WaitBody(
        for_=body.get("for"),
        until_time=body.get("until_time"),
        signal=body.get("signal"),
        timeout_s=optional_seconds(body.get("timeout")),
    )


def memory(step: Mapping[str, Json]) -> MemoryBody:
    ((operation, body),) = step["memory"].items()
    given = {key: body[key] for key in ("value", "on_conflict") if key in body}
    return MemoryBody(operation=operation, scope=body["scope"], key=body["key"], **given)


def agent(step: Mapping[str, Json]) -> AgentBody:
    cost = step.get("max_cost")
    return AgentBody(
        prompt=step["agent"],
        route=step["route"],
        with_=step.get("with", {}),
        tools=tuple(step.get("tools", ())),
        agents=tuple(step.get("agents", ())),
        max_turns=step.get("max_turns", DEFAULT_AGENT_TURNS),
        max_cost_usd=None if cost is None else str(cost),
        output=step.get("output"),
    )
