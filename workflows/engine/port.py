"""The one way out of a run. Whatever a step wants of the outside goes through here.

Three implementations: live (`live.py`), recorded (replay) and stubbed (forks, shadow runs); the engine does
not know which one it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from providers.config import Route
from providers.messages import Request, Response
from workflows.remembering import Operation
from workflows.spec.schema import Schema
from workflows.tools.config import Tool

if TYPE_CHECKING:
    from workflows.engine.bundle import Bundle

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


@dataclass(frozen=True, kw_only=True)
class ChildRun:
    """A child run as its parent's step sees it. `age_s`: how long ago it was created."""

    id: str
    state: str
    output: Json = None
    error: Mapping[str, Json] | None = None
    age_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """What a run sees of a key of memory. `place`: ENVIRONMENT/SCOPE/KEY."""

    value: Json
    version: int
    place: str
    expected: int  # what the newest version has to be for a change on what was seen


@dataclass(frozen=True, kw_only=True)
class Cached:
    """The result of an identical step, and what it was made of; `run` and `path` say whose."""

    output: Json
    lineage: Sequence[tuple[str, str]]
    run: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a call or a wait came to when it happened, and counts now.

    `how`: `kept`: a `once` effect of an earlier epoch · `stubbed`: in a fork, what the record of the other run says.
    `exact`: it was called with the same arguments.
    """

    output: Json
    run: str
    epoch: int
    how: Literal["kept", "stubbed"] = "kept"
    exact: bool = True

    def told(self) -> dict[str, Json]:
        """Return what the journal says of it."""
        source: dict[str, Json] = {"run": self.run, "epoch": self.epoch}
        return {self.how: source if self.exact else {**source, "exact": False}}


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

    def fits(self, declared: Schema, value: Json) -> Sequence[tuple[str, str]]:
        """Return what is wrong with a value that does not fit a schema as it is: in place of a secret it holds a mask.

        As paths and messages. Raises: StepFailure.
        """
        ...

    def kept(self, tool: Tool, arguments: Mapping[str, Json]) -> Kept | None:
        """Return what this call came to before, where that counts instead of a call. Raises: StepFailure."""
        ...

    def waited(self) -> Kept | None:
        """Return what came of this wait, where the record of another run says so. Raises: StepFailure."""
        ...

    def recall(self, scope: str, key: str, *, newest: bool = False) -> Remembered:
        """Return what the run sees of a key; with `newest`, what there is. Raises: StepFailure."""
        ...

    def remember(
        self, scope: str, key: str, operation: Operation, value: Json, *, expected: int | None
    ) -> int | None:
        """Change a key once for this step run; None: it is not at the version `expected`. Raises: StepFailure."""
        ...

    def cached(self, key: str) -> Cached | None:
        """Return the result of an identical step, if one is kept."""
        ...

    def answer(self) -> Json:
        """Return what came of the step's wait; null: its time ran out."""
        ...

    def child(self, loaded: Bundle, given: Json) -> dict[str, Json]:
        """Return a child run to start, as `interlock_start` takes it. Raises: StepFailure."""
        ...

    def child_state(self) -> ChildRun:
        """Return the newest child run of the step."""
        ...
