"""What the question “what became of this step?” shows: where its call went, with what, and what it has to give."""

from __future__ import annotations

from typing import Any, Final

from console.drawing import json_text
from console.forms import resolve_form
from console.views.payload import Block
from workflows.recovery import evidence
from workflows.spec import outline

_OPEN: Final = frozenset({"failed", "unknown"})
_SHOWN: Final = 4096  # characters of what was sent


def reach(run_id: str, form: resolve_form.ResolveForm) -> dict[str, Any]:
    """Collect what the question shows. Raises: UnknownObject: the run has no such step."""
    found = evidence.of(run_id, form.step)
    step, expected = found.step, found.expected
    return {
        "form": form,
        "found": found,
        "failed": step.state == "failed",
        "settled": "" if step.state in _OPEN else step.state,
        "actions": resolve_form.OF_FAILED if step.state == "failed" else resolve_form.OF_UNKNOWN,
        "arguments": _arguments(found),
        "outline": "" if expected is None else json_text.serialise(outline.of(expected)),
    }


def _arguments(found: evidence.Evidence) -> Block:
    """Draw what was sent; of a long text the beginning, since the step itself shows the whole."""
    if found.arguments is None:
        return Block(present=False)
    text = json_text.serialise(json_text.without_bulk(found.arguments))
    return Block(text=json_text.highlight(text[:_SHOWN]), size=len(text), cut=len(text) > _SHOWN)
