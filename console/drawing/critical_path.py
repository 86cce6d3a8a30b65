"""Which steps determined how long a run took: from its end back, each time to what the step had waited for. Pure.

A step waited for the last of its needs to end. Inside a map an item that began late had waited for another item to
free its place. What a container did is what its children did. Where needs are unknown, time alone decides.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

# The clock of the database may show the same microsecond to a step's end and its successor's start.
_SAME_S = 0.0005


class Stretch(NamedTuple):
    """One step run in time, in seconds; `name` is its id in the definition."""

    id: int
    name: str
    parent: int | None
    item: int | None
    start: float
    end: float


class _Finder:
    """Walks back through one run."""

    def __init__(self, stretches: Iterable[Stretch], needs: Mapping[str, Sequence[str]]) -> None:
        self.needs = needs
        self.below: dict[int | None, list[Stretch]] = defaultdict(list)
        self.beside: dict[tuple[int | None, int | None], dict[str, list[Stretch]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for each in sorted(stretches, key=lambda s: (s.end, s.start, s.id)):
            self.below[each.parent].append(each)
            self.beside[each.parent, each.item][each.name].append(each)
        self.ends = {parent: [each.end for each in inner] for parent, inner in self.below.items()}
        self.found: dict[int, None] = {}

    def walk(self, parent: int | None) -> None:
        """Take what determined the end of a scope, and go back to the scope's start."""
        inner = self.below.get(parent)
        current = inner[-1] if inner else None
        while current is not None and current.id not in self.found:
            self.found[current.id] = None
            self.walk(current.id)
            current = self.before(current)

    def before(self, step: Stretch) -> Stretch | None:
        """Return what a step had waited for."""
        needed = self.needs.get(step.name)
        if needed is None:
            return self.ended_before(step, same_item=True)
        candidates = list(self.resolve(needed, step, set()))
        if candidates:
            return max(candidates, key=lambda each: (each.end, each.start, each.id))
        return self.ended_before(step, same_item=False) if step.item is not None else None

    def resolve(self, names: Sequence[str], step: Stretch, seen: set[str]) -> Iterable[Stretch]:
        """Give the needs that ran; of one that was skipped, its own needs."""
        scope = self.beside[step.parent, step.item]
        for name in names:
            ran = [each for each in scope.get(name, ()) if each.end <= step.start + _SAME_S]
            if ran:
                yield ran[-1]
            elif name not in seen:
                seen.add(name)
                yield from self.resolve(self.needs.get(name, ()), step, seen)

    def ended_before(self, step: Stretch, *, same_item: bool) -> Stretch | None:
        """Return the neighbour that was the last to end before a step began."""
        inner = self.below[step.parent]
        at = bisect_right(self.ends[step.parent], step.start + _SAME_S) - 1
        while at >= 0:
            each = inner[at]
            if each.id != step.id and (not same_item or each.item == step.item):
                return each
            at -= 1
        return None


def find(stretches: Iterable[Stretch], needs: Mapping[str, Sequence[str]]) -> tuple[int, ...]:
    """Return the ids of the steps on the critical path, from the last to the first.

    `needs`: for each step of the definition the ids that it waits for; a step that is not named there is taken to
    have waited for whatever ended last before it.
    """
    finder = _Finder(stretches, needs)
    finder.walk(None)
    return tuple(finder.found)
