"""What an expression of a step can see, put together from recorded state. Pure.

Only the steps that the expressions name are handed in: a map of ten thousand items would be quadratic otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Any
Names = Mapping[str, Json]
# A step that has no row was never reached: a case that was not taken.
NEVER_REACHED: Mapping[str, Json] = {"output": None, "state": "skipped", "error": None}


@dataclass(frozen=True)
class Frame:
    """One item of a map, as the steps inside see it; `outer` is the item or turn around it."""

    name: str
    item: Json
    index: int
    outer: Frame | Turn | None = None

    def names(self) -> dict[str, Json]:
        """Return `item`, `index`, and the `as` name of this map and those around it."""
        around = self.outer.names() if self.outer else {}
        return {**around, "item": self.item, "index": self.index, self.name: self.item}


@dataclass(frozen=True)
class Turn:
    """One turn of a loop, as the steps inside see it; `previous` is what the turn before gave, at first null."""

    turn: int
    previous: Json
    outer: Frame | Turn | None = None

    def names(self) -> dict[str, Json]:
        """Return `turn`, `previous`, and the names of what lies around."""
        around = self.outer.names() if self.outer else {}
        return {**around, "turn": self.turn, "previous": self.previous}


@dataclass(frozen=True, kw_only=True)
class RunView:
    """The run, as expressions see it."""

    id: str
    input: Json
    started_at: str
    variables: Mapping[str, Json]
    session: str | None
    error: Mapping[str, Json] | None = None  # why it is failing, for the steps at its end


def build(
    run: RunView, *, steps: Mapping[str, Mapping[str, Json]], frame: Frame | Turn | None
) -> dict[str, Json]:
    """Return the names in scope. `steps`: {id: {output, state, error}}."""
    names: dict[str, Json] = frame.names() if frame else {}
    return {
        **names,
        "input": run.input,
        "steps": steps,
        "run": {"id": run.id, "started_at": run.started_at, "error": run.error},
        "environment": run.variables,
        "session": {"id": run.session},
    }


def inside(
    around: Mapping[str, Json], *, steps: Mapping[str, Mapping[str, Json]], frame: Frame | Turn
) -> dict[str, Json]:
    """Return a scope seen from inside one item or turn: its own steps and names, over what lies around."""
    return {**around, **frame.names(), "steps": {**around["steps"], **steps}}
