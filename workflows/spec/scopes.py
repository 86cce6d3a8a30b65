"""Which steps an expression may name: what its step needs, directly or through others (pure).

An inner step of a branch can be named by whatever needs the branch; one of a map or loop only inside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workflows.spec.places import Path
from workflows.spec.schema import Problem
from workflows.spec.shape_check import StepNode

Ids = frozenset[str]
_NONE: Ids = frozenset()


@dataclass(frozen=True)
class Placed:
    """A step with what surrounds it. `loops`: the maps around it, outermost first."""

    node: StepNode
    visible: Ids
    siblings: Ids
    loops: tuple[StepNode, ...] = ()


@dataclass
class Scopes:
    """Where every step of a workflow stands."""

    placed: list[Placed] = field(default_factory=list)
    by_id: dict[str, Placed] = field(default_factory=dict)
    ends: dict[Path, Ids] = field(
        default_factory=dict
    )  # by the path of a map or loop: what is known behind it
    end: Ids = _NONE  # what the workflow's `output` may name
    problems: list[Problem] = field(default_factory=list)


def place(steps: Sequence[StepNode], last: Sequence[StepNode] = ()) -> Scopes:
    """Work out the scope of every step; notes ids that are there twice, unknown needs and circles.

    `last`: the steps of `finally`, which may name all others.
    """
    scopes = Scopes()
    scopes.end = _place_list(steps, _NONE, (), scopes)
    _place_list(last, scopes.end, (), scopes)
    return scopes


def _place_list(steps: Sequence[StepNode], outer: Ids, loops: tuple[StepNode, ...], scopes: Scopes) -> Ids:
    """Place the steps of one list; returns all ids that are known behind it."""
    siblings = frozenset(step.id for step in steps if step.id)
    needs = dict(_needs(steps, siblings, scopes))
    insides = {step.id: _inside(step) for step in steps if step.id}
    done: dict[str, Ids] = {}
    for id in _in_order(steps, needs, scopes):
        direct = needs.get(id, ())
        done[id] = frozenset(direct).union(*(done.get(need, siblings) | insides[need] for need in direct))
    for step in steps:
        visible = outer | done.get(step.id or "", siblings)
        placed = Placed(step, visible, siblings, loops)
        scopes.placed.append(placed)
        _remember(placed, scopes)
        within = (*loops, step) if step.kind in ("map", "loop") else loops
        for inner in step.inner:
            scopes.ends[step.path] = _place_list(inner, visible, within, scopes)
    return outer | siblings.union(*insides.values())


def _remember(placed: Placed, scopes: Scopes) -> None:
    id = placed.node.id
    if id is None:
        return
    if id in scopes.by_id:
        scopes.problems.append(
            ((*placed.node.path, "id"), f"there is another step {id!r}; ids are unique in a workflow")
        )
    else:
        scopes.by_id[id] = placed


def _inside(step: StepNode) -> Ids:
    """The ids inside a branch, which those can name that need the branch."""
    if step.kind != "branch":
        return _NONE
    nodes = [node for inner in step.inner for node in inner]
    return frozenset(node.id for node in nodes if node.id).union(*(_inside(node) for node in nodes))


def _needs(steps: Sequence[StepNode], siblings: Ids, scopes: Scopes) -> Iterator[tuple[str, tuple[str, ...]]]:
    previous: str | None = None
    for step in steps:
        given = step.body.get("needs")
        if not isinstance(given, list):
            found = tuple([previous] if previous else [])
        else:
            found = tuple(need for need in given if isinstance(need, str) and need in siblings)
            scopes.problems += _unknown_needs(step, given, siblings)
        previous = step.id
        if step.id:
            yield step.id, found


def _unknown_needs(step: StepNode, given: list[Any], siblings: Ids) -> Iterator[Problem]:
    for index, need in enumerate(given):
        if isinstance(need, str) and need not in siblings:
            beside = ", ".join(sorted(siblings - {step.id or ""})) or "none"
            yield (
                (*step.path, "needs", index),
                f"there is no step {need!r} beside this one; there are: {beside}",
            )


def _in_order(
    steps: Sequence[StepNode], needs: Mapping[str, tuple[str, ...]], scopes: Scopes
) -> Iterator[str]:
    """The ids so that each comes after its needs; those in a circle are noted and left out."""
    waiting = {id: set(wanted) for id, wanted in needs.items()}
    followers: dict[str, list[str]] = {id: [] for id in needs}
    for id, wanted in waiting.items():
        for need in wanted:
            followers[need].append(id)
    ready = [id for id, wanted in waiting.items() if not wanted]
    while ready:
        id = ready.pop()
        yield id
        del waiting[id]
        for follower in followers[id]:
            waiting[follower].discard(id)
            if not waiting[follower]:
                ready.append(follower)
    if waiting:
        circle = _circle(waiting)
        step = next(step for step in steps if step.id == circle[0])
        path = (*step.path, "needs") if "needs" in step.body else step.path
        scopes.problems.append((path, f"these steps need each other in a circle: {' → '.join(circle)}"))


def _circle(waiting: Mapping[str, set[str]]) -> list[str]:
    """One circle among steps that all wait for others of them."""
    seen = [next(iter(waiting))]
    while (need := min(waiting[seen[-1]])) not in seen:
        seen.append(need)
    return [*seen[seen.index(need) :], need]
