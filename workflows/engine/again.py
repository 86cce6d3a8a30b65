"""Which step runs go on when a run is led on: from what failed, or again from a step. Pure.

Finished work is kept. What ran again leaves its earlier results in place, superseded by those of a later epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from workflows import payloads, states
from workflows.engine import decide
from workflows.engine import plan as plans
from workflows.engine.plan import Node, Plan
from workflows.models import StepRun
from workflows.spec.workflow import LoopBody
from workflows.step_kinds import agent, conversation

Json = Any
AGAIN: Final = ("failed", "cancelled")


@dataclass(frozen=True)
class Reopened:
    """What becomes of a step run that ran or should have run, when its run goes on."""

    step: StepRun
    state: str
    reason: str = ""
    waiting_on: int = 0
    settling: bool = False
    failing: bool = False  # it still has to fail, with what it absorbed before it was cancelled


def reopen(plan: Plan, steps: Sequence[StepRun], *, opened: frozenset[str] = frozenset()) -> list[Reopened]:
    """Say which step runs go on, and how. `opened`: paths that are open again for another reason.

    Failed ones run again, unless somebody absorbed the failure; cancelled ones take up their place again.
    """
    takers = {
        step.path: decide.absorb(plan, plan.nodes[step.step_id], step.path)
        for step in steps
        if step.state == "failed"
    }
    # By itself (None) or by who is around it; the other failures stopped the run.
    absorbed = {path: taken for path, taken in takers.items() if taken is None or taken.scope != "run"}
    kept = tuple(taken.prefix for taken in absorbed.values() if taken)
    again = [
        step
        for step in steps
        if step.state in AGAIN
        and not step.path.startswith(kept)
        and step.path not in absorbed
        # A failed call of an agent's tool was told to its model, which went on.
        and not (step.state == "failed" and step.kind == agent.CALL)
    ]
    open_paths = opened | {step.path for step in again}
    open_paths |= {step.path for step in steps if step.state not in states.STEP_ENDED}
    parents = {step.parent_id for step in steps if step.parent_id is not None}
    unfinished = {step.parent_id for step in steps if step.path in open_paths}
    failing = {taken.container for taken in absorbed.values() if taken and taken.scope == "container"}
    return [
        _container(step, has_open=step.pk in unfinished, failing=step.path in failing)
        if step.pk in parents
        else _reopened(plan, step, open_paths)
        for step in again
    ]


def _container(step: StepRun, *, has_open: bool, failing: bool) -> Reopened:
    """It waits for what is inside; where all of that had ended, what it came to is still to be collected."""
    failing = failing and step.state == "cancelled"
    if has_open:
        return Reopened(step, "waiting", reason="children", failing=failing)
    return Reopened(step, "ready", settling=True, failing=failing)


def _reopened(plan: Plan, step: StepRun, open_paths: frozenset[str]) -> Reopened:
    if step.kind in agent.INNER:
        return _reopened_inner(step, open_paths)
    left = _needs_left(plan, step, open_paths)
    ready = step.state == "failed" or (left == 0 and not step.held)
    return Reopened(step, "ready" if ready else "pending", waiting_on=0 if ready else left)


def _needs_left(plan: Plan, step: StepRun, open_paths: frozenset[str]) -> int:
    prefix = step.path[: len(step.path) - len(step.step_id)]
    return sum(prefix + need in open_paths for need in plan.nodes[step.step_id].step.needs)


def _reopened_inner(step: StepRun, open_paths: frozenset[str]) -> Reopened:
    """A turn waits for the calls of the one before it; a call for nothing."""
    path, number, call = conversation.located(step.path)
    before = f"{path}/turn[{number - 1}]/tool["
    left = sum(each.startswith(before) for each in open_paths) if call is None else 0
    return Reopened(step, "pending" if left else "ready", waiting_on=left)


@dataclass(frozen=True, kw_only=True)
class Fresh:
    """A step run that runs again in a new epoch. A container waits for those inside; `input`: its new one, in hex."""

    step: StepRun
    state: str  # ready | pending | waiting
    waiting_on: int = 0
    input: str | None = None


@dataclass(frozen=True, kw_only=True)
class Again:
    """What follows from running a step again: what gets a new epoch, and what is not there any more until laid out."""

    fresh: tuple[Fresh, ...]
    gone: tuple[StepRun, ...]

    def open_paths(self) -> frozenset[str]:
        return frozenset(each.step.path for each in self.fresh)

    def paths(self) -> frozenset[str]:
        return frozenset(each.step.path for each in self.fresh) | {step.path for step in self.gone}


@dataclass
class _Reach:
    """What running a step again reaches: paths that run again, prefixes of what is laid out anew, open containers."""

    again: set[str] = field(default_factory=set)
    below: list[str] = field(default_factory=list)
    containers: dict[str, str | None] = field(default_factory=dict)  # path → a new input, in hex

    def reset(self, path: str) -> None:
        self.again.add(path)
        self.below += [f"{path}/", f"{path}["]


def from_step(plan: Plan, steps: Sequence[StepRun], path: str) -> Again:
    """Say what runs again when the step at `path` does: it, all that needs it, and the containers around it.

    Raises:
        KeyError: there is no such step run.
    """
    rows = {step.path: step for step in steps}
    reach = _reach(plan, rows, path)
    gone = tuple(
        step
        for step in steps
        if step.path.startswith(tuple(reach.below)) and step.path not in reach.again | reach.containers.keys()
    )
    dropped = {step.path for step in gone}
    again = {each for each in reach.again if each in rows} - dropped
    containers = {each: key for each, key in reach.containers.items() if each in rows}
    open_paths = frozenset(again | containers.keys())
    open_paths |= _open_beside(
        plan, [step for step in steps if step.path not in open_paths | dropped], open_paths
    )
    fresh = [_fresh(plan, rows[each], open_paths) for each in again]
    fresh += [Fresh(step=rows[each], state="waiting", input=key) for each, key in containers.items()]
    return Again(fresh=tuple(outermost_first(fresh)), gone=gone)


def _open_beside(plan: Plan, rest: Sequence[StepRun], opened: frozenset[str]) -> frozenset[str]:
    """Return what else is not done, so that what runs again waits for it, too: other failures, what never began."""
    known = [step for step in rest if step.step_id in plan.nodes]
    going = {step.path for step in known if step.state not in states.STEP_ENDED}
    return frozenset(going | {each.step.path for each in reopen(plan, known, opened=opened)})


def outermost_first(fresh: Sequence[Fresh]) -> list[Fresh]:
    """Return containers before what is inside of them."""
    return sorted(fresh, key=lambda each: (each.step.path.count("/"), each.step.pk))


def _reach(plan: Plan, rows: Mapping[str, StepRun], path: str) -> _Reach:
    reach, target = _Reach(), rows[path]
    node = plan.nodes[target.step_id]
    if target.kind in agent.INNER:
        path = _inside_agent(reach, rows, path)
    else:
        reach.reset(path)
    while True:
        prefix = path[: len(path) - len(node.step.id)]
        for step_id in _following(plan, node):
            reach.reset(prefix + step_id)
        container = node.scope.container
        if container is None:
            return reach
        holder = plan.locate(container, at=path)
        reach.containers[holder] = _turn_back(plan, reach, rows, container, holder, path)
        path, node = holder, plan.nodes[container]


def _inside_agent(reach: _Reach, rows: Mapping[str, StepRun], path: str) -> str:
    """A turn runs again with all after it; after a call, the turn that is told of it. Returns the agent's path."""
    agent_path, number, call = conversation.located(path)
    reach.reset(path)
    if call is not None:
        number += 1
        reach.again.add(f"{agent_path}/turn[{number}]")
    reach.below += [
        each
        for each in rows
        if each.startswith(f"{agent_path}/turn[")
        and (conversation.located(each)[1], conversation.located(each)[2] is not None) > (number, False)
        and each != path
    ]
    reach.containers[agent_path] = None
    return agent_path


def _turn_back(
    plan: Plan, reach: _Reach, rows: Mapping[str, StepRun], container: str, holder: str, path: str
) -> str | None:
    """Of a loop the later turns are gone, and it is at this turn again: return its input then, in hex."""
    if not isinstance(plan.nodes[container].step.body, LoopBody):
        return None
    turn = plans.index_of(path, container)
    later = {
        number
        for each in rows
        if each.startswith(f"{holder}[")
        if (number := int(each[len(holder) + 1 :].partition("]")[0])) > turn
    }
    reach.below += [f"{holder}[{number}]/" for number in later]
    return payloads.digest({"turn": turn}).hex()


def _following(plan: Plan, node: Node) -> Iterator[str]:
    """Return the steps of the same scope that need a step, directly or not."""
    seen: set[str] = set()
    left = list(node.successors)
    while left:
        step_id = left.pop()
        if step_id not in seen:
            seen.add(step_id)
            yield step_id
            left += plan.nodes[step_id].successors


def _fresh(plan: Plan, step: StepRun, open_paths: frozenset[str]) -> Fresh:
    if step.kind in agent.INNER:
        left = _reopened_inner(step, open_paths).waiting_on
    else:
        left = _needs_left(plan, step, open_paths)
    return Fresh(step=step, state="pending" if left else "ready", waiting_on=left)


def problems(old: Plan, new: Plan, kept: Sequence[StepRun]) -> Iterator[str]:
    """Say why finished work cannot be taken over to another release: its step is not the same one there."""
    for step in kept:
        before, after = old.nodes[step.step_id], new.nodes.get(step.step_id)
        if after is None:
            yield f"{step.path}: the other release has no step {step.step_id}."
        elif (after.step.kind, after.containers) != (before.step.kind, before.containers):
            inside = "/".join(after.containers) or "the top"
            yield f"{step.path}: in the other release {step.step_id} is a {after.step.kind} step at {inside}."
