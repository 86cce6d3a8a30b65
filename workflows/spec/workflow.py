"""A checked Workflow document → frozen dataclasses that the engine walks (pure).

May not: check anything that `check` has checked, or look at other documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workflows.spec import secret_fields, step_bodies, templates
from workflows.spec.durations import optional_seconds, seconds
from workflows.spec.secret_fields import Marked
from workflows.spec.step_bodies import LeafBody, SetBody, ToolBody

Json = Any
OnError = Literal["fail", "continue"]

STEP_KINDS = (
    "prompt",
    "retrieve",
    "tool",
    "agent",
    "workflow",
    "map",
    "branch",
    "loop",
    "approval",
    "wait",
    "memory",
    "set",
)
DEFAULT_MAX_PARALLEL = 8
DEFAULT_MAX_TURNS = 10


@dataclass(frozen=True, kw_only=True)
class RetryDef:
    """How often and how fast a step is tried again; `on` None means every retryable error."""

    attempts: int = 3
    first_s: float = 0.5
    max_s: float = 8.0
    on: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case of a branch; `when` None is the `else` case."""

    when: str | None
    steps: tuple[StepDef, ...]


@dataclass(frozen=True, kw_only=True)
class BranchBody:
    cases: tuple[Case, ...]


@dataclass(frozen=True, kw_only=True)
class MapBody:
    """`output` None: an item's output is that of its last step. `output_reads`: the steps it names."""

    over: str
    steps: tuple[StepDef, ...]
    as_: str = "item"
    max_parallel: int = DEFAULT_MAX_PARALLEL
    on_item_error: OnError = "fail"
    output: Json = None
    output_reads: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class LoopBody:
    """`until` None: as often as `max_turns` says. `until_reads`: the steps it names."""

    steps: tuple[StepDef, ...]
    until: str | None = None
    max_turns: int = DEFAULT_MAX_TURNS
    until_reads: frozenset[str] = frozenset()


Body = LeafBody | BranchBody | MapBody | LoopBody


@dataclass(frozen=True, kw_only=True)
class StepDef:
    """One step. `needs` are ids of steps beside it; `reads` are the steps that its own expressions name."""

    id: str
    kind: str
    body: Body
    needs: tuple[str, ...] = ()
    when: str | None = None
    retry: RetryDef | None = None
    timeout_s: float | None = None
    cache_s: float | None = None  # so long others may take its result
    on_error: OnError = "fail"
    note: str = ""
    reads: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """Of the runs with the same key, `limit` go on at once."""

    key: str
    limit: int


@dataclass(frozen=True, kw_only=True)
class WorkflowDef:
    name: str
    steps: tuple[StepDef, ...]
    input_schema: Mapping[str, Json] | None = None
    secrets: tuple[Marked, ...] = ()  # the places of the input that are kept secret
    session: str | None = None
    concurrency: Concurrency | None = None
    deadline_s: float | None = None
    finally_: tuple[StepDef, ...] = ()
    output: Json = None
    output_reads: frozenset[str] = frozenset()

    def step(self, id: str) -> StepDef:
        """The step of that id, inner steps included.

        Raises: KeyError.
        """
        return {step.id: step for step in walk((*self.steps, *self.finally_))}[id]


def parse(body: Mapping[str, Json]) -> WorkflowDef:
    """Read the body of a Workflow document that `check` found right."""
    return WorkflowDef(
        name=body["name"],
        steps=_steps(body["steps"]),
        input_schema=body.get("input"),
        secrets=secret_fields.marked(body.get("input")),
        session=body.get("session"),
        concurrency=Concurrency(**body["concurrency"]) if "concurrency" in body else None,
        deadline_s=optional_seconds(body.get("deadline")),
        finally_=_steps(body.get("finally", ())),
        output=body.get("output"),
        output_reads=templates.names_in(body.get("output")).steps,
    )


def walk(steps: Sequence[StepDef]) -> Sequence[StepDef]:
    """All steps, the inner ones after the one that holds them."""
    found: list[StepDef] = []
    for step in steps:
        found.append(step)
        for inner in inner_steps(step):
            found.extend(walk(inner))
    return found


def inner_steps(step: StepDef) -> tuple[tuple[StepDef, ...], ...]:
    """The lists of steps that a step holds: one per case of a branch, one in a map or loop."""
    if isinstance(step.body, BranchBody):
        return tuple(case.steps for case in step.body.cases)
    return (step.body.steps,) if isinstance(step.body, MapBody | LoopBody) else ()


def kind_of(step: Mapping[str, Json]) -> str:
    """The kind of a step: the one key among `STEP_KINDS` that it has."""
    return next(kind for kind in STEP_KINDS if kind in step)


def _steps(steps: Sequence[Mapping[str, Json]]) -> tuple[StepDef, ...]:
    before = [None, *(step["id"] for step in steps)]
    return tuple(_step(step, previous) for step, previous in zip(steps, before, strict=False))


def _step(step: Mapping[str, Json], previous: str | None) -> StepDef:
    kind = kind_of(step)
    needs = step.get("needs")
    return StepDef(
        id=step["id"],
        kind=kind,
        body=_BODIES[kind](step),
        needs=tuple(needs) if needs is not None else (previous,) if previous else (),
        when=step.get("when"),
        retry=_retry(step.get("retry")),
        timeout_s=optional_seconds(step.get("timeout")),
        cache_s=optional_seconds(step.get("cache")),
        on_error=step.get("on_error", "fail"),
        note=step.get("note", ""),
        reads=own_names(step).steps,
    )


def own_names(step: Mapping[str, Json]) -> templates.Names:
    """The names that a step's own expressions use: not those of its inner steps, of a map's `output`, of an `until`.

    Raises: TemplateError.
    """
    kind = kind_of(step)
    names = templates.Names()
    for bare in (step.get("when"), *_bare(step, kind)):
        names |= templates.names_of(bare) if bare is not None else templates.Names()
    return names | templates.names_in([value for _, value in rendered(step, kind)])


# The fields of each kind whose template strings are rendered before the step acts.
RENDERED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "prompt": (("with",), ("params",)),
    "retrieve": (("query",), ("filter",)),
    "tool": (("with",),),
    "agent": (("with",),),
    "workflow": (("with",),),
    "approval": (("approval", "title"), ("approval", "details")),
    "wait": (("wait", "for"), ("wait", "until_time")),
    "memory": tuple(
        ("memory", operation, field)
        for operation in ("read", "write", "append", "delete")
        for field in ("key", "value")
    ),
    "set": (("set",),),
}


def rendered(step: Mapping[str, Json], kind: str) -> list[tuple[tuple[str, ...], Json]]:
    """Return the fields of a step that are rendered before it acts, each with its path in the step."""
    found: list[tuple[tuple[str, ...], Json]] = []
    for path in RENDERED.get(kind, ()):
        value: Json = step
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            found.append((path, value))
    return found


def _bare(step: Mapping[str, Json], kind: str) -> list[str | None]:
    if kind == "map":
        return [step["map"]["over"]]
    return [case.get("when") for case in step["branch"]] if kind == "branch" else []


def _retry(retry: Mapping[str, Json] | None) -> RetryDef | None:
    if retry is None:
        return None
    return RetryDef(
        attempts=retry.get("attempts", 3),
        first_s=seconds(retry.get("first", "500ms")),
        max_s=seconds(retry.get("max", "8s")),
        on=frozenset(retry["on"]) if "on" in retry else None,
    )


def _branch(step: Mapping[str, Json]) -> BranchBody:
    return BranchBody(
        cases=tuple(Case(when=case.get("when"), steps=_steps(case["steps"])) for case in step["branch"])
    )


def _map(step: Mapping[str, Json]) -> MapBody:
    body = step["map"]
    return MapBody(
        over=body["over"],
        steps=_steps(body["steps"]),
        as_=body.get("as", "item"),
        max_parallel=body.get("max_parallel", DEFAULT_MAX_PARALLEL),
        on_item_error=body.get("on_item_error", "fail"),
        output=body.get("output"),
        output_reads=templates.names_in(body.get("output")).steps,
    )


def _loop(step: Mapping[str, Json]) -> LoopBody:
    body = step["loop"]
    until = body.get("until")
    return LoopBody(
        steps=_steps(body["steps"]),
        until=until,
        max_turns=body.get("max_turns", DEFAULT_MAX_TURNS),
        until_reads=frozenset() if until is None else templates.names_of(until).steps,
    )


_BODIES: Mapping[str, Callable[[Mapping[str, Json]], Body]] = {
    "prompt": step_bodies.prompt,
    "retrieve": step_bodies.retrieve,
    "tool": lambda step: ToolBody(tool=step["tool"], with_=step.get("with", {})),
    "agent": step_bodies.agent,
    "workflow": step_bodies.child,
    "approval": step_bodies.approval,
    "wait": step_bodies.wait,
    "memory": step_bodies.memory,
    "set": lambda step: SetBody(values=step["set"]),
    "branch": _branch,
    "map": _map,
    "loop": _loop,
}
