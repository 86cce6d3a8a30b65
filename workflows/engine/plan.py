"""A workflow definition as the engine walks it: nodes, scopes, successors, paths. Pure, made once per release.

A scope is a list of steps that run together: the workflow's own, those of its `finally`, a case of a branch, the
body of a map or loop. Paths name step runs: `decide/pay` lies in the branch `decide`, `score[17]/judge` in item 17 of
the map `score`, `refine[2]/draft` in the third turn of the loop `refine`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from workflows.spec.workflow import BranchBody, LoopBody, MapBody, StepDef, WorkflowDef

_SEGMENT = re.compile(r"(?P<id>[a-z][a-z0-9_]*)(?:\[(?P<index>\d+)\])?")


@dataclass(frozen=True)
class Scope:
    """Steps that run together, in the order of the definition."""

    container: str | None
    case: int | None
    steps: tuple[str, ...]
    roots: tuple[str, ...]
    sinks: tuple[str, ...]

    @property
    def single_sink(self) -> bool:
        """Whether one step is always the last: every other one leads to it."""
        return len(self.sinks) == 1


@dataclass(frozen=True)
class Node:
    step: StepDef
    scope: Scope
    containers: tuple[str, ...]  # from the outermost to the direct one
    successors: tuple[str, ...]
    ordinal: int


@dataclass(frozen=True)
class Plan:
    definition: WorkflowDef
    nodes: Mapping[str, Node]
    top: Scope
    last: Scope  # the steps of `finally`; none: an empty scope
    scopes: Mapping[tuple[str, int | None], Scope]

    def locate(self, step_id: str, *, at: str) -> str:
        """Return the path of a step as seen from the step run at path `at`."""
        around = {segment.split("[")[0]: segment for segment in at.split("/")}
        parts = [around.get(container, container) for container in self.nodes[step_id].containers]
        return "/".join([*parts, step_id])

    def is_map(self, step_id: str) -> bool:
        return isinstance(self.nodes[step_id].step.body, MapBody)

    def is_numbered(self, step_id: str) -> bool:
        """Whether the paths below a step carry a number: the items of a map, the turns of a loop."""
        return isinstance(self.nodes[step_id].step.body, MapBody | LoopBody)


def build(definition: WorkflowDef) -> Plan:
    """Lay out a definition."""
    scopes: dict[tuple[str, int | None], Scope] = {}
    nodes: dict[str, Node] = {}
    top = _lay_out(definition.steps, (None, None), (), nodes, scopes)
    last = _lay_out(definition.finally_, (None, None), (), nodes, scopes)
    return Plan(definition, nodes, top, last, scopes)


def _lay_out(
    steps: Sequence[StepDef],
    key: tuple[str | None, int | None],
    containers: tuple[str, ...],
    nodes: dict[str, Node],
    scopes: dict[tuple[str, int | None], Scope],
) -> Scope:
    successors: dict[str, list[str]] = {step.id: [] for step in steps}
    for step in steps:
        for need in step.needs:
            successors[need].append(step.id)
    scope = Scope(
        container=key[0],
        case=key[1],
        steps=tuple(step.id for step in steps),
        roots=tuple(step.id for step in steps if not step.needs),
        sinks=tuple(step.id for step in steps if not successors[step.id]),
    )
    for step in steps:
        nodes[step.id] = Node(step, scope, containers, tuple(successors[step.id]), len(nodes))
        for case, inner in _inner_scopes(step):
            scopes[step.id, case] = _lay_out(inner, (step.id, case), (*containers, step.id), nodes, scopes)
    return scope


def _inner_scopes(step: StepDef) -> Iterator[tuple[int | None, Sequence[StepDef]]]:
    if isinstance(step.body, BranchBody):
        for number, case in enumerate(step.body.cases):
            yield number, case.steps
    elif isinstance(step.body, MapBody | LoopBody):
        yield None, step.body.steps


def index_of(path: str, container: str) -> int:
    """Return which item of the map, or turn of the loop, `container` a path lies in.

    Raises:
        KeyError: the path does not lie in it.
    """
    for segment in path.split("/"):
        match = _SEGMENT.fullmatch(segment)
        if match and match["id"] == container and match["index"] is not None:
            return int(match["index"])
    raise KeyError(container)
