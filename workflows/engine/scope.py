"""What an expression of a step can see, put together from recorded state. Pure.

Only the steps that the expressions name are handed in: a map of ten thousand items would be quadratic otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Any
# A step that has no row was never reached: a case that was not taken.
NEVER_REACHED: Mapping[str, Json] = {"output": None, "state": "skipped", "error": None}


@dataclass(frozen=True)
class Frame:
    """One item of a map, as the steps inside see it; `outer` is the item of the map around it."""

    name: str
    item: Json
    index: int
    outer: Frame | None = None

    def names(self) -> dict[str, Json]:
        """Return `item`, `index`, and the `as` name of this map and those around it."""
        around = self.outer.names() if self.outer else {}
        return {**around, "item": self.item, "index": self.index, self.name: self.item}


@dataclass(frozen=True, kw_only=True)
class RunView:
    """The run, as expressions see it."""

    id: str
    input: Json
    started_at: str
    variables: Mapping[str, Json]
    session: str | None


def build(run: RunView, *, steps: Mapping[str, Mapping[str, Json]], frame: Frame | None) -> dict[str, Json]:
    """Return the names in scope. `steps`: {id: {output, state, error}}."""
    names: dict[str, Json] = frame.names() if frame else {}
    return {
        **names,
        "input": run.input,
        "steps": steps,
        "run": {"id": run.id, "started_at": run.started_at},
        "environment": run.variables,
        "session": {"id": run.session},
    }


def inside(
    around: Mapping[str, Json], *, steps: Mapping[str, Mapping[str, Json]], frame: Frame
) -> dict[str, Json]:
    """Return a scope seen from inside one item: its own steps and its item, over what lies around."""
    return {**around, **frame.names(), "steps": {**around["steps"], **steps}}
