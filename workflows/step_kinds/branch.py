"""`branch`: the first case whose `when` holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.engine import decide
from workflows.engine.outcomes import Expanded, Succeeded
from workflows.engine.plan import Node, Plan
from workflows.spec import templates
from workflows.spec.workflow import BranchBody
from workflows.step_kinds.base import Scope


def expand(plan: Plan, node: Node, path: str, scope: Scope, *, frame: str | None) -> Expanded | Succeeded:
    """Choose a case. A branch in which no case holds is done, with the case null.

    `frame`: the hash of the map item around the branch, which its steps see too.
    """
    body = node.step.body
    assert isinstance(body, BranchBody)
    for number, case in enumerate(body.cases):
        if case.when is None or templates.evaluate(case.when, scope):
            chosen = {"case": number}
            rows = decide.children(plan, plan.scopes[node.step.id, number], prefix=f"{path}/", frame=frame)
            return Expanded(input=chosen, children=rows, data=chosen)
    return Succeeded(input={"case": None}, output={"case": None}, data={"case": None})


def settle(recorded_input: Mapping[str, Any]) -> Succeeded:
    """The chosen case has ended."""
    return Succeeded(output={"case": recorded_input["case"]})
