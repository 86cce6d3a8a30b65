"""What a random workflow is made of. Values only: `documents` writes them down, `reference` computes what they give.

Every step gives one number, its value; a step computes its own from those of the steps that it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["set", "divides", "shaky", "branch", "map", "loop", "child", "nap", "approval", "signal"]
# Totals stay below it.
BOUND: Final = 97
# What `over` of a map takes its items from.
ITEMS: Final = (3, 1, 4, 1)
# How often a shaky tool is tried; one that fails more often than that fails for good.
ATTEMPTS: Final = 3
ALWAYS: Final = 99


@dataclass(frozen=True, kw_only=True)
class Total:
    """`(constant + the names in scope + the values of the steps) % BOUND`."""

    constant: int
    names: tuple[str, ...] = ()  # input.n, index, turn, previous, or what a map calls its items
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step. What `number` means depends on the kind.

    `when`: it is skipped where its total is a multiple of that. `absorbs`: `on_error: continue`. `scopes`: the cases
    of a branch (case k holds where total % 4 == k; the last is `else` where `number` is 1), the body of a map or loop.
    """

    id: str
    kind: Kind
    needs: tuple[str, ...]
    total: Total
    when: int | None = None
    absorbs: bool = False
    number: int = 0
    items_absorb: bool = False
    scopes: tuple[tuple[Step, ...], ...] = ()
    child: str = ""


@dataclass(frozen=True, kw_only=True)
class Workflow:
    name: str
    steps: tuple[Step, ...]
    at_end: tuple[Step, ...] = ()
    children: tuple[Workflow, ...] = ()

    def index(self) -> Mapping[str, Step]:
        """Return every step by its id."""
        return {step.id: step for step in walk((*self.steps, *self.at_end))}


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Yield steps with those inside of them."""
    for step in steps:
        yield step
        for scope in step.scopes:
            yield from walk(scope)


def seen_after(step: Step) -> tuple[str, ...]:
    """Return the steps that may be named by one that needs this one, and mean the same in whatever order they ran.

    The steps in the cases of a branch are among them, unless it absorbs a failure: what ran of it then is chance.
    """
    if step.kind != "branch" or step.absorbs:
        return (step.id,)
    return (step.id, *(inner for case in step.scopes for each in case for inner in seen_after(each)))
