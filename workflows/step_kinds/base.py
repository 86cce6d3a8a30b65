"""What each step kind provides: prepare (pure) → act (through the port) → settle (pure).

A kind knows nothing of leases, journals or the database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workflows.engine.bundle import Bundle
from workflows.engine.outcomes import Parked
from workflows.engine.port import Port
from workflows.spec.workflow import StepDef

Json = Any
Scope = Mapping[str, Json]


@dataclass(frozen=True, kw_only=True)
class Acted:
    """What acting gave: the step's output, the pieces of state that it used, and facts for the journal."""

    output: Json
    lineage: Sequence[tuple[str, str]] = ()
    data: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LeafKind:
    """A step that does something itself.

    `prepare(step, bundle, scope)` renders the whole input of the step; it alone is what `act` sees.
    `limit_s(step, bundle)`: the longest that one attempt may take.
    `uses(prepared)`: the pieces of state that acting on it uses, whatever comes of it: kinds and names.
    A step whose `act` parks takes in what came of the wait with `settle(step, bundle, prepared, port)`.
    """

    prepare: Callable[[StepDef, Bundle, Scope], Json]
    act: Callable[[StepDef, Bundle, Json, Port], Acted | Parked]
    limit_s: Callable[[StepDef, Bundle], float]
    settle: Callable[[StepDef, Bundle, Json, Port], Acted | Parked] | None = None
    uses: Callable[[Json], Sequence[tuple[str, str]]] = lambda prepared: ()


def as_text(value: Json) -> str:
    """Return a value as a message or query shows it: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
