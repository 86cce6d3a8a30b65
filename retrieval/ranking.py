"""Join a vector ranking and a text ranking into one. Pure: no database, no clock.

Reciprocal rank fusion (Cormack, Clarke, Büttcher 2009). k = 20 and a text weight of 0.5 were the best of
those tried on Cranfield (nDCG@10 0.404 against 0.384 for vectors and 0.322 for text alone).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

K: Final = 20
TEXT_WEIGHT: Final = 0.5


@dataclass(frozen=True)
class Ranked:
    """A chunk and its score in one ranking; higher is better."""

    chunk_id: int
    score: float


def fuse(
    vector: Sequence[int], text: Sequence[int], *, k: int = K, text_weight: float = TEXT_WEIGHT
) -> tuple[Ranked, ...]:
    """Fuse two lists of chunk ids, best first and each id once, by reciprocal rank.

    Scores are shares of the best possible one: above 0, up to 1 (first in both). Of equal scores, the lower
    id comes first.
    """
    best = (1 + text_weight) / (k + 1)
    scores: dict[int, float] = {}
    for ranking, weight in ((vector, 1.0), (text, text_weight)):
        for rank, chunk_id in enumerate(ranking, start=1):
            scores[chunk_id] = scores.get(chunk_id, 0.0) + weight / (k + rank)
    return order(Ranked(chunk_id, score / best) for chunk_id, score in scores.items())


def order(ranked: Iterable[Ranked]) -> tuple[Ranked, ...]:
    """Sort by score, best first, then by chunk id, so that every worker gives the same order."""
    return tuple(sorted(ranked, key=lambda one: (-one.score, one.chunk_id)))
