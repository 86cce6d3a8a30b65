"""What follows from an outcome. Pure: no clock, no database, no randomness.

The same recorded state gives the same decision, on any machine, at any time: replay depends on it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from workflows.engine import plan as plans
from workflows.engine.outcomes import NEVER_RETRIED, Child, StepError
from workflows.engine.plan import Node, Plan, Scope
from workflows.spec.workflow import MapBody, RetryDef


@dataclass(frozen=True, kw_only=True)
class Absorbed:
    """How far up a final failure goes: the run stops, or a container or one item of a map takes it."""

    scope: Literal["run", "container", "item"]
    container: str | None = None  # its path
    prefix: str = ""  # what below is cancelled


def children(
    plan: Plan, scope: Scope, *, prefix: str, item: int | None = None, frame: Any = None, held: bool = False
) -> list[Child]:
    """Return the rows of a scope, in the order of the definition."""
    nodes = [plan.nodes[step_id] for step_id in scope.steps]
    return [
        Child(
            path=prefix + node.step.id,
            step_id=node.step.id,
            kind=node.step.kind,
            ordinal=node.ordinal,
            waiting_on=len(node.step.needs),
            item=item,
            frame=frame,
            held=held and not node.step.needs,
        )
        for node in nodes
    ]


def successors(node: Node, path: str) -> list[str]:
    """Return the paths of the steps that need this one."""
    prefix = path[: len(path) - len(node.step.id)]
    return [prefix + step_id for step_id in node.successors]


def next_item_gate(plan: Plan, node: Node) -> int | None:
    """Return the gate of the map whose item this step ends, if it alone ends it.

    The gate is the ordinal of the item's first root. Items that several steps can end are left to the
    probe after the commit.
    """
    if node.scope.container is None or not plan.is_map(node.scope.container):
        return None
    if not node.scope.single_sink or node.step.id != node.scope.sinks[0]:
        return None
    return gate(plan, node.scope)


def gate(plan: Plan, scope: Scope) -> int:
    return plan.nodes[scope.roots[0]].ordinal


def ends_run(plan: Plan, node: Node) -> bool:
    """Say whether this step, done, always ends the run: the only sink of the workflow, with nothing to do after."""
    return node.scope is plan.top and plan.top.sinks == (node.step.id,) and not plan.last.steps


def retry_delay_s(policy: RetryDef | None, error: StepError, *, failures: int, seed: str) -> float | None:
    """Return how long to wait before the next attempt; None: there is none.

    `failures`: how many attempts have failed, this one included; losses do not count. Full jitter over an
    exponential bound, drawn from `seed`, so that a replay decides alike.
    """
    if policy is None or failures >= policy.attempts or error.error_class in NEVER_RETRIED:
        return None
    if policy.on is not None and error.error_class not in policy.on:
        return None
    bound: float = min(policy.max_s, policy.first_s * 2.0 ** (failures - 1))
    draw = int.from_bytes(hashlib.sha256(f"{seed}:{failures}".encode()).digest()[:6]) / 2**48
    return bound * draw


def absorb(plan: Plan, node: Node, path: str) -> Absorbed | None:
    """Say who takes a final failure of a step. None: the step itself, by `on_error: continue`."""
    if node.step.on_error == "continue":
        return None
    container = node.scope.container
    while container is not None:
        holder = plan.nodes[container]
        body = holder.step.body
        holder_path = plan.locate(container, at=path)
        if isinstance(body, MapBody) and body.on_item_error == "continue":
            index = plans.index_of(path, container)
            return Absorbed(scope="item", container=holder_path, prefix=f"{holder_path}[{index}]/")
        if holder.step.on_error == "continue":
            mark = "[" if plan.is_numbered(container) else "/"
            return Absorbed(scope="container", container=holder_path, prefix=holder_path + mark)
        container = holder.scope.container
    return Absorbed(scope="run")
