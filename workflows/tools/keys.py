"""The key that makes a tool call recognizable to who receives it. Pure: no clock, no randomness, no epoch."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def idempotency_key(place: str, path: str, tool: str, arguments: Any, *, repeat: int = 0) -> str:
    """Hash what a call is (64 hex digits): every attempt of a step with the same arguments has the same key.

    `place`: the run, or where a child run stands below its root. `repeat`: the epoch in which a person wants it again.

    Raises: ValueError for arguments that are not JSON.
    """
    canonical = json.dumps(
        [place, path, tool, arguments, *([repeat] if repeat else [])],
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        allow_nan=False,
    )
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
