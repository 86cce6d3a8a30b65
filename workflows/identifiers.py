"""Identifiers made by the client: time-ordered, so that indexes stay dense, and unique without a round trip."""

from __future__ import annotations

import secrets
import time
from typing import Final

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
RUN_PATTERN: Final = rf"r_[{ALPHABET}]{{13}}"
_RANDOM_BITS: Final = 22


def new_run_id() -> str:
    """Return `r_` and 13 characters: 43 bits of milliseconds (until 2248), 22 random bits."""
    return "r_" + _new()


def new_bulk_id() -> str:
    """Return `b_` and 13 characters, made as those of a run."""
    return "b_" + _new()


def _new() -> str:
    value = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return "".join(ALPHABET[value >> shift & 31] for shift in range(60, -1, -5))
