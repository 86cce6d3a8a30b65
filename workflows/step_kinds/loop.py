"""`loop`: the same steps again and again, until an expression holds or the turns are used up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.engine import decide
from workflows.engine.outcomes import Expanded, Succeeded
from workflows.engine.plan import Node, Plan
from workflows.spec import templates
from workflows.spec.workflow import LoopBody
from workflows.step_kinds.base import Scope

Json = Any


def expand(
    plan: Plan, node: Node, path: str, *, turn: int = 0, previous: Json = None, outer: str | None
) -> Expanded:
    """Lay out one turn. `outer`: the hash of the frame around this loop."""
    frame = {"turn": turn, "previous": previous, "outer": outer}
    inner = plan.scopes[node.step.id, None]
    rows = decide.children(plan, inner, prefix=f"{path}[{turn}]/", item=turn, frame=frame)
    return Expanded(
        input={"turn": turn},
        children=rows,
        data={"turn": turn},
        wake_s=node.step.timeout_s if not turn else None,
    )


def settle(
    plan: Plan,
    node: Node,
    path: str,
    *,
    turn: int,
    steps: Mapping[str, Mapping[str, Json]],
    scope: Scope,
    outer: str | None,
) -> Expanded | Succeeded:
    """Look at a turn that has ended. `steps`: {step id: {output, state, error}}; `scope`: what `until` sees."""
    body = loop_body(node)
    last = steps[body.steps[-1].id]["output"]
    done = body.until is not None and bool(templates.evaluate(body.until, scope))
    if done or turn + 1 >= body.max_turns:
        return Succeeded(output={"turns": turn + 1, "last": last}, data={"until": done})
    return expand(plan, node, path, turn=turn + 1, previous=last, outer=outer)


def loop_body(node: Node) -> LoopBody:
    assert isinstance(node.step.body, LoopBody)
    return node.step.body
