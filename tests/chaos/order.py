"""One run to start, and what has to come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Order:
    """One run to start, the state that it has to end in, and the output that it has to give."""

    workflow: str
    input: Mapping[str, Any]
    output: Any
    state: str = "succeeded"
