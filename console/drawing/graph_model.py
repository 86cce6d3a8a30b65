"""What a workflow's graph holds: steps, what they need, and the frames of branches, maps and loops. Pure.

Tolerant: a document that was never checked gives as much of a graph as can be read in it. May not draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from workflows.spec.workflow import STEP_KINDS

Json = Any
MAX_DRAWN: Final = 300


@dataclass(frozen=True, kw_only=True)
class Node:
    """One step. `needs` are ids beside it; `groups` are what it holds; `hidden` counts steps folded into it."""

    id: str
    kind: str
    names: str = ""
    needs: tuple[str, ...] = ()
    when: str = ""
    groups: tuple[Group, ...] = ()
    hidden: int = 0


@dataclass(frozen=True, kw_only=True)
class Group:
    """The steps of one case of a branch, or of the body of a map or loop."""

    label: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Graph:
    """The steps of a workflow; `left_out` says how many of them are not drawn at all."""

    nodes: tuple[Node, ...]
    left_out: int = 0


def read(body: Mapping[str, Json]) -> Graph:
    """Read the graph of a workflow document."""
    return Graph(_nodes(body.get("steps")))


def walk(nodes: Sequence[Node]) -> Iterator[Node]:
    """Give every step, each before those that it holds."""
    for node in nodes:
        yield node
        for group in node.groups:
            yield from walk(group.nodes)


def documents(body: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
    """Give every step of a document by its id, each without the steps that it holds."""
    found: dict[str, dict[str, Json]] = {}
    todo = list(reversed(_list(body.get("steps"))))
    while todo:
        step = todo.pop()
        if not isinstance(step, dict):
            continue
        if isinstance(step.get("id"), str):
            found[step["id"]] = {key: _without_steps(value) for key, value in step.items()}
        for key in ("branch", "map", "loop"):
            held = step.get(key)
            for part in held if isinstance(held, list) else [held]:
                if isinstance(part, dict):
                    todo += reversed(_list(part.get("steps")))
    return found


def _without_steps(value: Json) -> Json:
    if isinstance(value, list):
        return [_without_steps(part) if isinstance(part, dict) else part for part in value]
    return {k: v for k, v in value.items() if k != "steps"} if isinstance(value, dict) else value


def bounded(graph: Graph, *, opened: frozenset[str] = frozenset(), most: int = MAX_DRAWN) -> Graph:
    """Fold frames, except the opened ones, and then leave out the last steps, until few enough are drawn."""
    if _size(graph.nodes) <= most:
        return graph
    nodes = tuple(_folded(node, opened) for node in graph.nodes)
    if _size(nodes) > most:
        nodes = tuple(_folded(node, frozenset()) for node in graph.nodes)
    kept = nodes[:most]
    left = sum(1 + node.hidden for node in nodes[most:])
    ids = {node.id for node in kept}
    return Graph(tuple(replace(node, needs=_within(node.needs, ids)) for node in kept), left)


def _folded(node: Node, opened: frozenset[str]) -> Node:
    if node.id in opened:
        groups = tuple(replace(g, nodes=tuple(_folded(n, opened) for n in g.nodes)) for g in node.groups)
        return replace(node, groups=groups)
    return replace(node, groups=(), hidden=sum(_size(group.nodes) for group in node.groups))


def _size(nodes: Sequence[Node]) -> int:
    return sum(1 for _ in walk(nodes))


def _within(needs: Sequence[str], ids: set[str]) -> tuple[str, ...]:
    return tuple(need for need in needs if need in ids)


def _nodes(steps: object) -> tuple[Node, ...]:
    known = [step for step in _list(steps) if isinstance(step, dict) and isinstance(step.get("id"), str)]
    ids = {step["id"] for step in known}
    before: list[str] = []
    found = []
    for step in known:
        given = step.get("needs")
        needs = [need for need in given if isinstance(need, str)] if isinstance(given, list) else before
        found.append(_node(step, _within(needs, ids - {step["id"]})))
        before = [step["id"]]
    return tuple({node.id: node for node in found}.values())


def _node(step: Mapping[str, Json], needs: tuple[str, ...]) -> Node:
    kind = kind_of(step)
    named = step.get(kind)
    return Node(
        id=step["id"],
        kind=kind,
        names=named if isinstance(named, str) else "",
        needs=needs,
        when=str(step["when"]) if step.get("when") is not None else "",
        groups=_groups(kind, named),
    )


def kind_of(step: Mapping[str, Json]) -> str:
    """Say what kind of step a document describes; empty where it says none."""
    return next((kind for kind in STEP_KINDS if kind in step), "")


def _groups(kind: str, held: object) -> tuple[Group, ...]:
    if kind == "branch":
        cases = [case for case in _list(held) if isinstance(case, dict)]
        made = (Group(label=_case(case), nodes=_nodes(case.get("steps"))) for case in cases)
        return tuple(group for group in made if group.nodes)
    if kind not in {"map", "loop"} or not isinstance(held, dict):
        return ()
    if kind == "map":
        label = f"for each {held.get('as', 'item')} in {held.get('over', '…')}"
    else:
        label = f"until {held.get('until', '…')}"
    nodes = _nodes(held.get("steps"))
    return (Group(label=label, nodes=nodes),) if nodes else ()


def _case(case: Mapping[str, Json]) -> str:
    return f"if {case['when']}" if case.get("when") is not None else "else"


def _list(value: object) -> list[Json]:
    return value if isinstance(value, list) else []
