"""`map`: the same steps for each item, `max_parallel` at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from workflows.engine import decide
from workflows.engine.outcomes import Child, Expanded, StepFailure, Succeeded
from workflows.engine.plan import Node, Plan
from workflows.spec import templates
from workflows.spec.workflow import MapBody
from workflows.step_kinds.base import Scope

Json = Any
MAX_ITEMS: Final = 10_000


def expand(plan: Plan, node: Node, path: str, scope: Scope, *, outer: str | None) -> Expanded | Succeeded:
    """Lay out the items. `outer`: the hash of the frame around this map, for maps inside of maps.

    Raises:
        StepFailure: `over` is no list, or too long.
    """
    body = _body(node)
    items = templates.evaluate(body.over, scope)
    if not isinstance(items, list):
        raise StepFailure(
            f"`over` of step {node.step.id} is {_named(items)}; a list is expected.",
            error_class="input_invalid",
        )
    if len(items) > MAX_ITEMS:
        raise StepFailure(
            f"`over` of step {node.step.id} has {len(items):,} items; {MAX_ITEMS:,} are allowed.",
            error_class="input_invalid",
        )
    if not items:
        return Succeeded(input={"items": 0}, output=[], data={"items": 0})
    inner = plan.scopes[node.step.id, None]
    rows: list[Child] = []
    for index, item in enumerate(items):
        frame = {"name": body.as_, "item": item, "index": index, "outer": outer}
        rows += decide.children(
            plan,
            inner,
            prefix=f"{path}[{index}]/",
            item=index,
            frame=frame,
            held=index >= body.max_parallel,
        )
    return Expanded(input={"items": len(items)}, children=rows, data={"items": len(items)})


def settle(
    node: Node, items: Sequence[Mapping[str, Mapping[str, Json]]], scopes: Sequence[Scope]
) -> Succeeded:
    """Collect the outputs. `items`: per item {step id: {output, state, error}}; `scopes`: what `output` sees of each.

    A failed item under `on_item_error: continue` is null.
    """
    body = _body(node)
    last = body.steps[-1].id
    outputs: list[Json] = []
    for index, steps in enumerate(items):
        if _failed(body, steps):
            outputs.append(None)
        elif body.output is not None:
            outputs.append(templates.render(body.output, scopes[index]))
        else:
            outputs.append(steps[last]["output"])
    return Succeeded(output=outputs)


def _failed(body: MapBody, steps: Mapping[str, Mapping[str, Json]]) -> bool:
    """Say whether a failure reached the item: what fails inside of its own steps, they may have absorbed."""
    return any(
        step.on_error != "continue" and steps[step.id]["state"] in ("failed", "cancelled")
        for step in body.steps
    )


def _body(node: Node) -> MapBody:
    assert isinstance(node.step.body, MapBody)
    return node.step.body


def _named(value: Json) -> str:
    names = {"dict": "an object", "str": "a text", "NoneType": "null", "bool": "a truth value"}
    return names.get(type(value).__name__, "a number")
