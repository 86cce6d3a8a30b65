"""The graph beside the editor of a workflow: what the text would be, what changed in it, where it is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from console.drawing import graph_diff, graph_model
from console.drawing.graph import Dress
from console.views import workflow_graph
from workflows.editing import Checked

_FIELD: Final = "document"
_PART: Final = re.compile(r"\w+")


def steps(checked: Checked) -> Mapping[str, Any]:
    """Every step of the text by its id, as far as it can be read."""
    return graph_model.documents(checked.body)


def context(checked: Checked, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """Draw the text's graph; nothing where the text cannot be read, so that the last picture stays."""
    if checked.document is None:
        return {"drawn": None}
    found = graph_diff.compare(before if before is not None else checked.body, checked.body)
    lines = _lines(checked)
    wrong = _wrong(checked)
    dress = {}
    for id_ in graph_diff.ids(found):
        jump = f"{_FIELD}:{lines[id_]}" if id_ in lines else ""
        if id_ in wrong:
            dress[id_] = Dress(jump=jump, line=wrong[id_], tone="bad", icon="circle-x", word="wrong")
        elif id_ in found.marks:
            dress[id_] = graph_diff.dress(found.marks[id_], jump=jump)
        else:
            dress[id_] = Dress(jump=jump)
    label = f"Steps of the text, {len(found.marks)} changed"
    return {"drawn": workflow_graph.draw_compared(found, dress=dress, label=label)}


def _lines(checked: Checked) -> dict[str, int]:
    """The line that each step begins in."""
    found: dict[str, int] = {}
    if checked.document is None:
        return found
    where = checked.document.where
    todo: list[tuple[Any, tuple[str | int, ...]]] = [(checked.body.get("steps"), ("steps",))]
    while todo:
        held, path = todo.pop()
        for at, part in enumerate(held if isinstance(held, list) else []):
            if not isinstance(part, dict):
                continue
            here = (*path, at)
            if isinstance(part.get("id"), str):
                found[part["id"]] = where.find(here)[1]
            for key in ("branch", "map", "loop", "steps"):
                inner = part.get(key)
                if isinstance(inner, dict):
                    todo.append((inner.get("steps"), (*here, key, "steps")))
                else:
                    todo.append((inner, (*here, key)))
    return found


def _wrong(checked: Checked) -> dict[str, str]:
    """What is wrong with each step, by the paths of the problems."""
    found: dict[str, str] = {}
    for error in checked.errors:
        at: Any = checked.body
        step = ""
        for part in _PART.findall(error.path):
            if isinstance(at, list):
                at = at[int(part)] if part.isdigit() and int(part) < len(at) else None
            else:
                at = at.get(part) if isinstance(at, dict) else None
            if isinstance(at, dict) and isinstance(at.get("id"), str):
                step = at["id"]
        if step:
            found.setdefault(step, error.message)
    return found
