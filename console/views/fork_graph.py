"""What a fork would do, in the graph of its run: which steps are taken over, and which run again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from console import formats
from console.drawing import graph_model
from console.drawing.graph import Dress
from console.views import workflow_graph
from console.views.workflow_graph import Drawn
from workflows.models import Run
from workflows.queries import run_page
from workflows.queries.run_page import StepView
from workflows.recovery.previewing import Estimate


def draw(run: Run, steps: Sequence[StepView], estimate: Estimate | None, *, first: str) -> Drawn | None:
    """Draw the run's graph, each step marked; `first` is the path of the chosen one.

    None where the definition is not stored any more.
    """
    version = run_page.definition_of(run)
    if version is None:
        return None
    by_step: dict[str, list[StepView]] = defaultdict(list)
    for each in steps:
        by_step[each.step_id].append(each)
    again = frozenset(estimate.again) if estimate else frozenset()
    nodes = graph_model.walk(graph_model.read(version.body).nodes)
    return workflow_graph.draw(
        version.body,
        dress={node.id: _dress(by_step.get(node.id, ()), again) for node in nodes},
        opened=[part.partition("[")[0] for part in first.split("/")],
        label=f"What a fork of run {run.id} runs again",
        selected=next((each.step_id for each in steps if each.path == first), ""),
    )


def _dress(found: Sequence[StepView], again: frozenset[str]) -> Dress:
    begun = [each for each in found if each.started_at is not None]
    if not begun:
        return Dress(line="Not reached then", quiet=True)
    repeated = [each for each in begun if each.path in again]
    if not repeated:
        return Dress(line="Taken over", quiet=True, icon="check", tone="idle")
    part = f" {len(repeated):,} of {len(begun):,}" if len(begun) > 1 else ""
    return Dress(line=f"Runs again{part}{_took(repeated)}", icon="rotate-cw")


def _took(steps: Sequence[StepView]) -> str:
    """Say how long the steps took before, all of them together; nothing where one had not ended."""
    lasted = [(each.ended_at - each.started_at) for each in steps if each.ended_at and each.started_at]
    if len(lasted) < len(steps):
        return ""
    return f" · {formats.duration(sum(each.total_seconds() for each in lasted))} then"
