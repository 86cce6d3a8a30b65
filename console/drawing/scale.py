"""The time axis of a run: seconds to per cent of the lane, with idle stretches folded. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor

Span = tuple[float, float]

_FOLD_FROM_S = 30.0
_FOLD_FROM_SHARE = 0.08
_FOLD_WIDTH = 5.0  # per cent of the lane
# Room beside it, for how long it lasted; before it also for the words of the tick, which stand to the tick's right.
_BEFORE_FOLD, _AFTER_FOLD = 10.0, 6.0
_TICK_STEPS = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30),
    *(60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400, 604800),
)
_TICKS = 6
SHORTEST_S = 0.001  # no zoom goes further in


@dataclass(frozen=True)
class Scale:
    """Maps seconds since the run began to per cent of the lane, piece by piece.

    It may show a part of the run only: from `start_s` on, `length_s` long.
    """

    length_s: float
    folds: tuple[Span, ...]
    edges: tuple[float, ...]  # seconds, rising
    places: tuple[float, ...]  # per cent, at each edge
    start_s: float = 0.0

    @property
    def end_s(self) -> float:
        """Where what it shows ends, in seconds since the run began."""
        return self.start_s + self.length_s

    def at(self, second: float) -> float:
        """Return the place of a moment, from 0 to 100."""
        second = min(max(second, self.start_s), self.end_s)
        piece = min(max(bisect_right(self.edges, second) - 1, 0), len(self.edges) - 2)
        low, high = self.edges[piece], self.edges[piece + 1]
        share = (second - low) / (high - low) if high > low else 0.0
        start, end = self.places[piece], self.places[piece + 1]
        return min(start + share * (end - start), 100.0)  # a sum of parts may be a rounding error more

    def ticks(self) -> list[tuple[float, float]]:
        """Return round moments and their places, none at a folded stretch."""
        busy = self.length_s - sum(end - start for start, end in self.folds)
        step = next((s for s in _TICK_STEPS if busy / s <= _TICKS), _TICK_STEPS[-1])
        found: list[tuple[float, float]] = []
        for second in self._multiples(step):
            place = self.at(second)
            if any(
                self.at(start) - _BEFORE_FOLD < place < self.at(end) + _AFTER_FOLD
                for start, end in self.folds
            ):
                continue
            if not found or place - found[-1][1] >= 100 / _TICKS / 2:
                found.append((second, place))
        return found

    def _multiples(self, step: float) -> Iterator[float]:
        """Walk the round moments outside the folds: inside them there may be millions."""
        for low, high in pairwise(self.edges):
            if (low, high) not in self.folds:
                for number in range(ceil(low / step), floor(high / step) + 1):
                    yield number * step


def idle(busy: Iterable[Span], *, length_s: float, start_s: float = 0.0) -> tuple[Span, ...]:
    """Return the stretches in which nothing ran and that are long enough to fold."""
    end_s = start_s + length_s
    folds, reached = [], start_s
    for start, end in [*sorted(busy), (end_s, end_s)]:
        gap = min(start, end_s) - reached
        if gap > _FOLD_FROM_S and gap > _FOLD_FROM_SHARE * length_s:
            folds.append((reached, min(start, end_s)))
        reached = max(reached, end)
    return tuple(folds)


def build(length_s: float, folds: Sequence[Span] = (), *, start_s: float = 0.0) -> Scale:
    """Make the scale of a stretch of a run, with its idle parts folded to a narrow strip each."""
    length_s = max(length_s, 0.001)
    end_s = start_s + length_s
    if sum(end - start for start, end in folds) > length_s - 0.001:
        folds = ()  # nothing ran at all: there is nothing to make room for
    edges = sorted({start_s, end_s, *(moment for fold in folds for moment in fold)})
    folded = set(folds)
    busy = length_s - sum(end - start for start, end in folds)
    room = 100.0 - _FOLD_WIDTH * len(folds)
    places = [0.0]
    for low, high in pairwise(edges):
        width = _FOLD_WIDTH if (low, high) in folded else (high - low) / max(busy, 0.001) * room
        places.append(places[-1] + width)
    return Scale(length_s, tuple(folds), tuple(edges), tuple(places), start_s)


def window(low: float | None, high: float | None, *, length_s: float) -> Span | None:
    """Return the part of a run that an address asks to see, put right; nothing for the whole or for nonsense."""
    start, end = max(low or 0.0, 0.0), min(length_s if high is None else high, length_s)
    if end - start < SHORTEST_S or (start <= 0 and end >= length_s):
        return None
    return (start, end)
