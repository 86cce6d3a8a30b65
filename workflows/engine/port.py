"""The one way out of a run. Whatever a step wants of the outside goes through here.

Three implementations: live (`live.py`), recorded (replay) and stubbed (forks, shadow runs); the engine does
not know which one it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from providers.config import Route
from providers.messages import Request, Response
from workflows.tools.config import Tool

Json = Any


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search of a corpus at the snapshot that the run pinned."""

    corpus: str
    embedding: str
    query: str
    top_k: int
    mode: str
    index: str
    filter: Mapping[str, Json] | None
    min_score: float | None


@dataclass(frozen=True, kw_only=True)
class Found:
    """`chunks`: [{text, document, source, score, rank, metadata}]; `documents`: what to name in the lineage."""

    snapshot: int
    chunks: list[dict[str, Json]]
    documents: tuple[str, ...]


@dataclass(frozen=True)
class Spent:
    """What an attempt cost: USD as a decimal string or None where no price is known, and its tokens."""

    cost_usd: str | None = None
    tokens: Mapping[str, int] | None = None


class Port(Protocol):
    def spent(self) -> Spent:
        """Return what the calls so far cost."""
        ...

    def model(self, route: Route, request: Request) -> Response:
        """Ask a model. Raises: ProviderError."""
        ...

    def search(self, search: Search) -> Found:
        """Search a corpus. Raises: StepFailure."""
        ...

    def tool(self, tool: Tool, arguments: Mapping[str, Json]) -> Json:
        """Call a tool. Raises: StepFailure."""
        ...
