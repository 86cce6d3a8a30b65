"""Small random workflows: steps beside and after each other, maps, retries, failures that are absorbed, `finally`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from tests.engine import apply

Json = Any
EFFECTS: Final = ("read", "idempotent", "once")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step. `kind`: `set`, the effect of a tool, or `map`, which has `inside`."""

    id: str
    kind: str
    needs: tuple[str, ...] = ()
    attempts: int = 1
    continues: bool = False
    inside: tuple[Step, ...] = ()
    items: int = 0
    parallel: int = 0
    drops_items: bool = False  # `on_item_error: continue`

    @property
    def is_map(self) -> bool:
        return self.kind == "map"


@dataclass(frozen=True, kw_only=True, repr=False)
class Shape:
    """A workflow. `limit`: so many of its runs go on at once."""

    steps: tuple[Step, ...]
    at_end: tuple[Step, ...] = ()
    limit: int | None = None

    @property
    def name(self) -> str:
        return "shape-" + hashlib.sha256(repr(self).encode()).hexdigest()[:12]

    def __repr__(self) -> str:
        """Tell it in few words: failing examples are read by people."""
        limit = f", limit {self.limit}" if self.limit else ""
        return f"Shape({_told(self.steps)}; at end {_told(self.at_end)}{limit})"

    def document(self) -> Mapping[str, Json]:
        """Return it as a document to apply."""
        found: dict[str, Json] = {"kind": "Workflow", "name": self.name, "steps": _written(self.steps)}
        if self.at_end:
            found["finally"] = _written(self.at_end)
        if self.limit is not None:
            found["concurrency"] = {"key": "one", "limit": self.limit}
        return found


def _written(steps: Sequence[Step]) -> list[Json]:
    return [_step(step) for step in steps]


def _step(step: Step) -> Json:
    found: dict[str, Json] = {"id": step.id, "needs": list(step.needs)}
    if step.kind == "map":
        found["map"] = {
            "over": json.dumps(list(range(step.items))),
            "max_parallel": step.parallel,
            "on_item_error": "continue" if step.drops_items else "fail",
            "steps": _written(step.inside),
        }
    elif step.kind == "set":
        found["set"] = {"v": 1}
    else:
        found |= {"tool": f"does-{step.kind}", "with": {}}
    if step.attempts > 1:
        found["retry"] = {"attempts": step.attempts, "first": "1h", "max": "1h"}
    if step.continues:
        found["on_error"] = "continue"
    return found


def _told(steps: Sequence[Step]) -> str:
    return "[" + ", ".join(_step_told(step) for step in steps) + "]"


def _step_told(step: Step) -> str:
    told = f"{step.id}: {step.kind}"
    if step.is_map:
        told += f" {step.items} by {step.parallel} {_told(step.inside)}"
    told += f" after {' '.join(step.needs)}" if step.needs else ""
    told += f" x{step.attempts}" if step.attempts > 1 else ""
    told += " continues" if step.continues else ""
    return told + (" drops items" if step.drops_items else "")


def tools() -> list[str]:
    """Return the tools that the shapes call. They are never called: what comes of a step is played."""
    called = "tests.definitions.functions:nothing"
    return [
        json.dumps({"kind": "Tool", "name": f"does-{effect}", "effect": effect, "python": called})
        for effect in EFFECTS
    ]


def deploy(shapes: Iterable[Shape], known: set[str]) -> None:
    """Apply those of some shapes that were not yet. `known`: the names of those that were."""
    new = {shape.name: json.dumps(shape.document()) for shape in shapes if shape.name not in known}
    if new:
        apply(*tools(), *new.values())
    known.update(new)


def drawn(seed: int) -> Shape:
    """Draw a workflow of two to four steps, often one of them a map.

    From a seed: drawn by Hypothesis, choice by choice, half of the workflows would have a single step.
    """
    random = Random(seed)
    found: list[Step] = []
    names = "abcd"[: random.randint(2, 4)]
    where = random.choice("abcd--")
    for name in names:
        before = [each.id for each in found]
        found.append(_map(random, before) if name == where else _leaf(random, name, before))
    return Shape(
        steps=tuple(found),
        at_end=_leaves(random, "pq") if random.random() < 0.3 else (),
        limit=random.choice((None, None, 1)),
    )


def _leaves(random: Random, names: str) -> tuple[Step, ...]:
    found: list[Step] = []
    for name in names[: random.randint(1, len(names))]:
        found.append(_leaf(random, name, [each.id for each in found]))
    return tuple(found)


def _leaf(random: Random, name: str, before: Sequence[str]) -> Step:
    return Step(
        id=name,
        kind=random.choice(("set", "read", "idempotent", "once", "once")),
        needs=_needs(random, before),
        attempts=random.choice((1, 1, 2, 3)),
        continues=random.random() < 0.25,
    )


def _needs(random: Random, before: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in before if random.random() < 0.6)


def _map(random: Random, before: Sequence[str]) -> Step:
    return Step(
        id="m",
        kind="map",
        needs=_needs(random, before),
        continues=random.random() < 0.5,
        inside=_leaves(random, "xy"),
        items=random.choice((0, 2, 3, 4)),
        parallel=random.choice((1, 1, 2)),
        drops_items=random.random() < 0.5,
    )
