"""From an outcome to the one statement that makes it last.

The only writer of outcomes. It decides nothing: what follows comes from `decide`.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import structlog

from workflows import database
from workflows.engine.outcomes import Child, LeaseLost
from workflows.payloads import Batch

Json = Any
log = structlog.get_logger()
# How long a finished result is held while the database is away. Its lease cannot run out meanwhile:
# nothing expires until one lease period after the database is back.
HOLD_S: Final = 600.0


class OtherVersion(Exception):
    """The statements in the database are not of this code's version: what it holds by `lease` it cannot read."""

    def __init__(self, lease: uuid.UUID) -> None:
        super().__init__("The database's statements are of another version than this process: restart it.")
        self.lease = lease


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One attempt that this worker holds: what `interlock_claim` returned."""

    step: int
    run: str
    path: str
    step_id: str
    kind: str
    epoch: int
    lane: str
    answer: str | None
    parent: int | None
    item: int | None
    item_hash: str | None
    attempt: int
    number: int
    failures: int
    losses: int
    lease: uuid.UUID
    settling: bool
    alone: bool
    poison: bool
    input_hash: str | None
    failing: Mapping[str, str] | None
    release: int
    workflow: str
    environment: str
    run_input: str
    pins: Mapping[str, int]
    variables: Mapping[str, Json]
    session: str | None
    priority: int
    run_error: Mapping[str, Json] | None
    run_started_at: str
    deadline_at: str | None
    tree_path: str  # where the run stands below its root; what it calls is named by it
    repeats: Mapping[str, int] | None
    fork: Mapping[str, Json] | None
    sealed: bool  # its root was given secrets

    @classmethod
    def from_row(cls, row: Mapping[str, Json]) -> Claim:
        """Read a claim. Raises: OtherVersion."""
        lease = uuid.UUID(row["lease"])
        if row.keys() != _TOLD:
            raise OtherVersion(lease)
        return cls(**{**row, "lease": lease})


_TOLD: Final = frozenset(each.name for each in fields(Claim))


@dataclass(frozen=True, kw_only=True)
class Change:
    """Everything that one commit writes."""

    outcome: str
    batch: Batch
    input: str | None = None
    output: str | None = None
    error: Mapping[str, str] | None = None
    wake_s: float | None = None
    wake_at: str | None = None
    reason: str | None = None
    awaits: str | None = None
    approval: Mapping[str, Json] | None = None
    child: Mapping[str, Json] | None = None
    cost_usd: str | None = None
    tokens: Mapping[str, int] | None = None
    data: Mapping[str, Json] = field(default_factory=dict)
    lineage: Sequence[tuple[str, str]] = ()
    cache: tuple[str, float] | None = None
    children: Sequence[Child] = ()
    successors: Sequence[str] = ()
    next_item: int | None = None
    ends: bool = False
    end: str | None = None
    fails: Mapping[str, Json] | None = None


@dataclass(frozen=True, kw_only=True)
class Committed:
    """What the commit gave: whether it counted, the next claim, what else became ready."""

    applied: bool
    next: Claim | None
    ready: tuple[int, ...]
    ended: bool
    parked: bool = False  # the step waits for something outside of any worker


def claim(*, worker: str, lease_s: float, idle: bool, after: str = "") -> Claim | None:
    """Take the best ready row, if there is one. `after`: the lane that was served last."""
    lease = uuid.uuid4()
    row = database.call("interlock_claim", worker, lease, lease_s, idle, after)
    return Claim.from_row(row) if row else None


def apply(
    claimed: Claim, change: Change, *, worker: str, lease_s: float, go_on: bool, next_lease: uuid.UUID
) -> Committed:
    """Write an outcome; hold it while the database is away.

    An ambiguous commit (the connection broke during it) is resolved by reading the attempt again.

    Raises:
        LeaseLost: the database did not come back in time.
    """
    document = _document(claimed, change, worker=worker, lease_s=lease_s, go_on=go_on, next_lease=next_lease)
    until = time.monotonic() + HOLD_S
    doubtful = False
    while True:
        try:
            if doubtful and was_applied(claimed):
                return Committed(
                    applied=True,
                    next=held(next_lease),
                    ready=(),
                    ended=False,
                    parked=change.outcome == "parked",
                )
            row = database.call("interlock_commit", document, *change.batch.columns())
            return Committed(
                applied=row["applied"],
                next=Claim.from_row(row["next"]) if row["next"] else None,
                ready=tuple(row["ready"]),
                ended=row["ended"],
                parked=change.outcome == "parked",
            )
        except database.AWAY as error:
            if time.monotonic() > until:
                raise LeaseLost from error
            log.warning(
                "commit_waits_for_database", run_id=claimed.run, step=claimed.path, error=str(error)[:200]
            )
            doubtful = True
            time.sleep(0.5)


def _document(
    claimed: Claim, change: Change, *, worker: str, lease_s: float, go_on: bool, next_lease: uuid.UUID
) -> str:
    return json.dumps(
        {
            "step": claimed.step,
            "attempt": claimed.attempt,
            "number": claimed.number,
            "lease": str(claimed.lease),
            "worker": worker,
            "next_lease": str(next_lease),
            "lease_s": lease_s,
            "go_on": go_on,
            "outcome": change.outcome,
            "input": change.input,
            "output": change.output,
            "error": change.error,
            "wake_s": change.wake_s,
            "wake_at": change.wake_at,
            "reason": change.reason,
            "awaits": change.awaits,
            "approval": change.approval,
            "child": change.child,
            "cost": change.cost_usd,
            "tokens": change.tokens,
            "data": change.data,
            "lineage": change.lineage,
            "cache": change.cache,
            "children": [_row(child, change.batch) for child in change.children],
            "successors": change.successors,
            "next_item": change.next_item,
            "ends": change.ends,
            "end": change.end,
            "fails": change.fails,
        }
    )


def _row(child: Child, batch: Batch) -> dict[str, Json]:
    return {
        "path": child.path,
        "step_id": child.step_id,
        "kind": child.kind,
        "ordinal": child.ordinal,
        "item": child.item,
        "item_hash": batch.add(child.frame) if isinstance(child.frame, dict) else child.frame,
        "waiting_on": child.waiting_on,
        "held": child.held,
    }


def was_applied(claimed: Claim) -> bool:
    """Say whether the commit that broke off had happened: then the attempt has ended, and not by being lost."""
    rows = database.fetch_all("SELECT state FROM workflows_attempt WHERE id = $1", [claimed.attempt])
    return bool(rows) and rows[0][0] not in ("running", "lost", "interrupted")


def held(lease: uuid.UUID) -> Claim | None:
    """Return the claim behind a lease token, if it holds."""
    row = database.call("interlock_held", lease)
    return Claim.from_row(row) if row else None


def close(claimed_run: str, *, parent: int | None, item: int | None, gate: int | None) -> Mapping[str, Json]:
    """After a commit: close what has no unfinished part left. See `close.sql`."""
    result: Mapping[str, Json] = database.call("interlock_close", claimed_run, parent, item, gate)
    return result


def finish(
    run: str, *, output: str | None, error: Mapping[str, Json] | None, batch: Batch
) -> list[int] | None:
    """End a run whose steps are all done: with its output, or failed because that could not be computed.

    Returns what became ready by it, in other runs; None: it did not move.
    """
    ready: list[int] | None = database.call(
        "interlock_finish_run", run, output, json.dumps(error) if error else None, *batch.columns()
    )
    return ready


def begin_closing(run: str, children: Sequence[Child]) -> list[int]:
    """Let the steps begin that run at the end, once; return those that are ready."""
    rows = [_row(child, Batch()) for child in children]
    ready: list[int] = database.call("interlock_begin_closing", run, json.dumps(rows))
    return ready


def sending(claimed: Claim, data: Mapping[str, Json]) -> bool:
    """Mark, durably, that a `once` effect is about to leave. False: the lease is gone, nothing may be sent."""
    marked: bool = database.call("interlock_sending", claimed.step, claimed.lease, json.dumps(data))
    return marked
