"""The graph of a workflow for its pages: what each step shows and where it leads. Reads nothing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.utils.safestring import SafeString

from console import formats
from console.drawing import graph, graph_model
from console.drawing.graph import Dress, Row
from console.drawing.graph_diff import Compared
from console.drawing.graph_model import Graph
from workflows.queries.workflow_page import StepFigures

_POOR: Final = 0.95  # a smaller share of succeeded is shown as bad


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A graph as a page shows it: the picture, the same in words, and what is not in the picture."""

    picture: SafeString
    rows: Sequence[Row]
    left_out: int
    folded: bool


def draw(
    body: Mapping[str, Any],
    *,
    dress: Mapping[str, Dress],
    opened: Sequence[str],
    label: str,
    selected: str = "",
) -> Drawn:
    """Draw the graph of a workflow document, folded where it is too large."""
    return _drawn(graph_model.read(body), dress=dress, opened=opened, label=label, selected=selected)


def draw_compared(found: Compared, *, dress: Mapping[str, Dress], label: str) -> Drawn:
    """Draw two versions in one graph; frames with changes stay open where it is too large."""
    opened = [
        node.id
        for node in graph_model.walk(found.graph.nodes)
        if any(inner.id in found.marks for group in node.groups for inner in graph_model.walk(group.nodes))
    ]
    return _drawn(found.graph, dress=dress, opened=opened, label=label)


def _drawn(
    whole: Graph, *, dress: Mapping[str, Dress], opened: Sequence[str], label: str, selected: str = ""
) -> Drawn:
    shown = graph_model.bounded(whole, opened=frozenset(opened))
    return Drawn(
        picture=graph.draw(shown, dress, label=formats.printable(label), selected=selected),
        rows=graph.words(whole, dress),
        left_out=shown.left_out,
        folded=any(node.hidden for node in graph_model.walk(shown.nodes)),
    )


def with_figures(
    body: Mapping[str, Any], figures: Mapping[str, StepFigures], *, kept: Mapping[str, str]
) -> dict[str, Dress]:
    """Dress every step of a document with its figures and its link; `kept` is what else stands in the address."""
    steps = graph_model.walk(graph_model.read(body).nodes)
    return {node.id: _dress(node.id, figures.get(node.id), kept) for node in steps}


def _dress(step: str, found: StepFigures | None, kept: Mapping[str, str]) -> Dress:
    href = "?" + urlencode({**{key: value for key, value in kept.items() if value}, "step": step})
    if found is None or not found.runs:
        return Dress(href=href, line="No run", quiet=True)
    poor = found.success is not None and found.success < _POOR
    return Dress(
        href=href,
        line=line(found),
        tone="bad" if poor else "",
        icon="circle-x" if poor else "",
        word="many fail" if poor else "",
    )


def line(found: StepFigures) -> str:
    """Write a step's figures in one short line: how many succeed, how long they take, their part of the cost."""
    parts = [formats.share(found.success)] if found.success is not None else []
    if found.p95_s is not None:
        parts.append(f"p95 {formats.duration(found.p95_s)}")
    if found.cost_share is not None:
        parts.append(f"{formats.share(found.cost_share)} cost")
    return " · ".join(parts) or formats.plural(found.runs, "run")
