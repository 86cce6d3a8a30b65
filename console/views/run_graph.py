"""The graph of a run: the steps of its workflow with their states, the items of a map counted together.

The same choice (`?step=`) and the same inspector as the timeline. Reads the definition that the run's release pins.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse

from console import formats
from console.drawing import graph_model, looks
from console.drawing.graph import Dress
from console.views import workflow_graph
from workflows.models import Run
from workflows.queries import run_page
from workflows.queries.run_page import StepView

# Of several items the worst, then the most lively, says how the step is shown, and is the one that it leads to.
_RANK: Final = (
    "unknown",
    "failed",
    "retrying",
    "running",
    "waiting",
    "ready",
    "pending",
    "cancelled",
    "succeeded",
    "skipped",
)
_QUIET: Final = frozenset({"pending", "ready", "skipped", "cancelled"})


def context(run: Run, steps: Sequence[StepView], *, selected: str, now: datetime) -> dict[str, Any]:
    """Draw the graph of a run; `selected` is the path of a step run, whose frames are unfolded."""
    version = run_page.definition_of(run)
    body = version.body if version else {}
    by_step: dict[str, list[StepView]] = defaultdict(list)
    for each in steps:
        by_step[each.step_id].append(each)
    chosen = next((each.step_id for each in steps if each.path == selected), "")
    dress = {
        node.id: _dress(by_step.get(node.id, []), selected, now)
        for node in graph_model.walk(graph_model.read(body).nodes)
    }
    drawn = workflow_graph.draw(
        body,
        dress=dress,
        opened=[part.partition("[")[0] for part in selected.split("/")],
        label=f"Steps of run {run.id}",
        selected=chosen,
    )
    return {
        "drawn": drawn,
        "definition_gone": version is None,
        "steps_address": reverse("run-step", args=[run.id]),
    }


def _dress(found: Sequence[StepView], selected: str, now: datetime) -> Dress:
    if not found:
        return Dress(line="Not reached", quiet=True, icon="circle-dashed", tone="idle")
    worst = min(found, key=lambda each: _rank(each.shown_state))
    led = next((each for each in found if each.path == selected), worst)
    look = looks.state_look(worst.shown_state)
    address = "?" + urlencode({"tab": "graph", "step": led.path})
    line = _one(worst, now) if len(found) == 1 else counted(found)
    return Dress(
        href=address,
        line=line,
        tone=look.tone,
        icon=look.icon,
        word=look.word if len(found) > 1 else "",
        quiet=worst.shown_state in _QUIET,
    )


def _rank(state: str) -> int:
    return _RANK.index(state) if state in _RANK else len(_RANK)


def _one(step: StepView, now: datetime) -> str:
    """The state of one step run, how long it took, and how often it was tried."""
    parts = [looks.state_look(step.shown_state).word]
    if step.started_at and step.shown_state not in {"waiting", "skipped"}:
        parts.append(formats.duration(((step.ended_at or now) - step.started_at).total_seconds()))
    if step.failures:
        parts.append(f"{formats.plural(step.failures, 'failure')}")
    return " · ".join(parts)


def counted(found: Sequence[StepView]) -> str:
    """Count the items of a map by state, the worst first: `1 failed · 29 succeeded`."""
    counts: Mapping[str, int] = Counter(each.shown_state for each in found)
    ordered = sorted(counts, key=_rank)
    return " · ".join(f"{counts[state]:,} {looks.state_look(state).word.lower()}" for state in ordered)
