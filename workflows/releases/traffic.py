"""Which release a new run gets while a rollout goes on.

The same value of what is sticky always falls on the same place between 0 and 100; below the weight it gets the
candidate. So whoever has the candidate keeps it while the weight rises. May not: read or write anything.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from workflows.models import Release
from workflows.models.rollouts import CANDIDATE, STABLE

_BITS = 63


@dataclass(frozen=True, kw_only=True)
class Split:
    """The rollout that goes on where a run is started. `weight` in percent."""

    rollout: int
    candidate: Release
    weight: float
    salt: str
    sticky: str


def place(salt: str, key: str) -> int:
    """Return where a sticky value falls: the first 63 bits of a hash."""
    digest = hashlib.sha256(f"{salt}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def arm_of(split: Split, placed: int) -> str:
    """Return which release a place gets."""
    return CANDIDATE if placed < split.weight / 100 * 2**_BITS else STABLE
