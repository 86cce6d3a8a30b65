"""What an attempt can come to. Values only; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Json = Any
# Failures of the definition or the input: trying again cannot help.
NEVER_RETRIED = frozenset(
    {
        "expression",
        "input_invalid",
        "poison",
        "internal",
        "configuration",
        "resolved_as_failed",
        "effect_happened",
    }
)


class StepFailure(Exception):
    """The work of a step failed. `outcome_known` is false when an outside effect may have happened."""

    def __init__(self, message: str, *, error_class: str, outcome_known: bool = True) -> None:
        super().__init__(message)
        self.message, self.error_class, self.outcome_known = message, error_class, outcome_known


class LeaseLost(Exception):
    """This worker does not hold the step any more: it must stop without a trace."""


class Cancelled(Exception):
    """The run is being cancelled; the attempt stopped because of it."""


@dataclass(frozen=True, kw_only=True)
class StepError:
    error_class: str
    message: str

    def as_json(self) -> dict[str, str]:
        return {"class": self.error_class, "message": self.message}


@dataclass(frozen=True, kw_only=True)
class Child:
    """A row to add below a container. `frame` is the item that its steps see (None: as the container's)."""

    path: str
    step_id: str
    kind: str
    ordinal: int
    waiting_on: int
    item: int | None = None
    frame: Json = None
    held: bool = False


@dataclass(frozen=True, kw_only=True)
class Succeeded:
    output: Json
    input: Json = None
    lineage: Sequence[tuple[str, str]] = ()
    data: Mapping[str, Json] = field(default_factory=dict)
    cache: tuple[str, float] | None = None  # the key under which others find it, and for how many seconds
    beside: Sequence[Child] = ()  # step runs to add next to this one: what an agent's turn leads to


@dataclass(frozen=True)
class Skipped:
    """`when` was false, or a person said so (`data`)."""

    data: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Failed:
    """`lineage`: what it had used when it failed, which is where somebody looks for the cause."""

    error: StepError
    input: Json = None
    lineage: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """A `once` effect may have happened; a person decides."""

    error: StepError
    input: Json = None
    lineage: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Stopped:
    """The run is being cancelled."""


@dataclass(frozen=True, kw_only=True)
class Expanded:
    """A container has decided what runs inside; it waits for that."""

    input: Json
    children: Sequence[Child]
    wake_s: float | None = None  # when it fails with a time-out, children or not
    data: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Parked:
    """The step waits for something outside of any worker; its next attempt takes in what came.

    `wake_s` or `wake_at` (RFC 3339): when it goes on in any case. `approval`: what a person is asked.
    `child`: the run to start, as `interlock_start` takes it.
    """

    reason: Literal["time", "signal", "approval", "child"]
    input: Json
    wake_s: float | None = None
    wake_at: str | None = None
    awaits: str | None = None
    approval: Mapping[str, Json] | None = None
    child: Mapping[str, Json] | None = None
    child_input: Json = None
    data: Mapping[str, Json] = field(default_factory=dict)


Outcome = Succeeded | Skipped | Failed | Unknown | Stopped | Expanded | Parked
Kind = Literal["succeeded", "skipped", "failed", "retry", "unknown", "expanded", "parked", "cancelled"]
