"""Read and change memory by its stored functions: what a run sees, and what everybody does.

Knows no permissions, no audit log and no run's state; `memory` and the engine's port do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workflows import database, payloads
from workflows.payloads import Batch

Json = Any
Operation = Literal["write", "append", "delete", "forget"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where something is remembered. `scope`: global | workflow:NAME | session:ID."""

    environment: str
    scope: str
    key: str

    def __str__(self) -> str:
        return f"{self.environment}/{self.scope}/{self.key}"


def scope_of(said: str, *, workflow: str, session: str | None) -> str | None:
    """Return the scope that a step of a workflow means by `global`, `workflow` or `session`; None: it has none such."""
    if said == "session":
        return None if session is None else f"session:{session}"
    return {"global": "global", "workflow": f"workflow:{workflow}"}.get(said)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A value at a version; 0 and null where nothing is remembered. `head`: the newest version of all.

    `expected`: what the newest version has to be for a change on what was seen; -1 where that can no more be.
    """

    value: Json
    version: int
    head: int
    expected: int = 0


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Who changes: a step of a run, or a person or program where `run` is None."""

    actor: str
    run: str | None = None
    path: str | None = None
    epoch: int | None = None


class NotAListError(Exception):
    """Something is to be appended to a value that is no list."""


def read(place: Place, *, run: str | None = None) -> Seen:
    """Return what a run sees of a key; without one, the newest."""
    row = database.call("interlock_memory_read", place.environment, place.scope, place.key, run)
    return Seen(
        value=put_together(row["entries"]), version=row["version"], head=row["head"], expected=row["expected"]
    )


def as_first_seen(place: Place, *, run: str) -> Seen:
    """Return what a run saw of a key before it changed it: at its first look, else when it was created."""
    entries = database.fetch_all(
        """
        SELECT v.number, v.operation, encode(v.value_hash, 'hex')
          FROM workflows_memory m JOIN workflows_memoryversion v ON v.memory_id = m.id
         WHERE m.environment_id = $1 AND m.scope = $2 AND m.key = $3 AND v.run_id IS DISTINCT FROM $4
           AND v.number <= coalesce(
               (SELECT number FROM workflows_memorypin WHERE run_id = $4 AND memory_id = m.id),
               (SELECT max(w.number) FROM workflows_memoryversion w JOIN workflows_run r ON r.id = $4
                 WHERE w.memory_id = m.id AND w.created_at <= r.created_at), 0)
         ORDER BY v.number
        """,
        [place.environment, place.scope, place.key, run],
    )
    last = max((at for at, entry in enumerate(entries) if entry[1] != "append"), default=0)
    version = entries[-1][0] if entries else 0
    return Seen(value=put_together(entries[last:]), version=version, head=version)


def put_together(entries: Sequence[Sequence[Json]]) -> Json:
    """Return the value that entries since the last write come to. `entries`: [number, operation, hash]."""
    values = payloads.load(key for _, _, key in entries if key is not None)
    value: Json = None
    for _, operation, key in entries:
        if operation == "append":
            value = [*(value if isinstance(value, list) else []), values[key]]
        else:
            value = None if key is None else values[key]
    return value


def change(
    place: Place,
    operation: Operation,
    value: Json,
    *,
    by: Writer,
    expected: int | None,
    reason: str = "",
    expires_s: float | None = None,
) -> int | None:
    """Make a new version and return its number; None where the key is not at `expected` any more."""
    batch = Batch()
    key = None if operation in ("delete", "forget") else batch.add(value)
    row = database.call(
        "interlock_memory_change",
        place.environment,
        place.scope,
        place.key,
        operation,
        key,
        expected,
        by.run,
        by.path,
        by.epoch,
        by.actor,
        reason,
        expires_s,
        *batch.columns(),
    )
    number: int | None = row.get("number")
    return number
