"""A step run as a run begins with it or as its record tells of it: names, needs and values by their hashes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Any


@dataclass(kw_only=True)
class Row:
    """One step run. Hashes are in hex; `settles`: its next attempt takes in what it waited for."""

    path: str
    step_id: str
    kind: str
    epoch: int
    ordinal: int
    waiting_on: int = 0
    item: int | None = None
    frame: str | None = None
    held: bool = False
    state: str = "pending"
    settles: bool = False
    input: str | None = None
    output: str | None = None
    error: Mapping[str, Json] | None = None
