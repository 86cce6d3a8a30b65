"""The step runs of one run, all at once: raw SQL, since a run may have ten thousand.

Postgres writes the rows as one JSON text and `json` reads it: a fifth of the time of a value at a time.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from workflows import database, states

_STEPS: Final = """
SELECT coalesce(json_agg(json_build_array(
    id, path, step_id, kind, epoch, ordinal, parent_id, item, state, reason, failures, losses, error,
    started_at, ended_at, wake_at, cost_usd::text, tokens, encode(input_hash, 'hex'), encode(output_hash, 'hex'),
    superseded) ORDER BY ordinal, id), '[]')::text
FROM workflows_steprun WHERE run_id = $1
"""
_ATTEMPTS: Final = """
SELECT coalesce(json_agg(json_build_array(
    step_run_id, id, number, state, worker, started_at, ended_at, error) ORDER BY started_at, id), '[]')::text
FROM workflows_attempt WHERE run_id = $1
"""


class AttemptView(NamedTuple):
    """One try of a step."""

    id: int
    number: int
    epoch: int
    state: str
    worker: str
    started_at: datetime
    ended_at: datetime | None
    error: Mapping[str, Any] | None


class StepView(NamedTuple):
    """One step run with its attempts; payloads are left out, so that they can never hide the timeline."""

    id: int
    path: str
    step_id: str
    kind: str
    epoch: int
    ordinal: int
    parent_id: int | None
    item: int | None
    state: str
    reason: str
    failures: int
    losses: int
    error: Mapping[str, Any] | None
    started_at: datetime | None
    ended_at: datetime | None
    wake_at: datetime | None
    cost_usd: Decimal | None
    tokens: Mapping[str, Any] | None
    input_hash: bytes | None
    output_hash: bytes | None
    attempts: tuple[AttemptView, ...] = ()

    @property
    def shown_state(self) -> str:
        """The state as people see it: a step that waits for its next try is retrying."""
        if self.state == "waiting" and self.reason == "retry":
            return "retrying"
        if self.state == "waiting" and self.reason == "children":
            return "running"
        return self.state

    @property
    def can_change(self) -> bool:
        return self.state not in states.STEP_ENDED


def steps_of(run_id: str) -> tuple[StepView, ...]:
    """Return the current step runs of a run, each with the attempts of all its epochs."""
    rows = _read(_STEPS, run_id)
    places = {row[0]: (row[1], row[4]) for row in rows}
    attempts: dict[str, list[AttemptView]] = defaultdict(list)
    for step_run_id, number_id, number, state, worker, started_at, ended_at, error in _read(
        _ATTEMPTS, run_id
    ):
        if step_run_id in places:
            path, epoch = places[step_run_id]
            attempts[path].append(
                AttemptView(
                    number_id, number, epoch, state, worker, _moment(started_at), _when(ended_at), error
                )
            )
    return tuple(_step(row, tuple(attempts.get(row[1], ()))) for row in rows if not row[-1])


def _read(statement: str, run_id: str) -> list[list[Any]]:
    rows: list[list[Any]] = json.loads(database.fetch_all(statement, [run_id])[0][0])
    return rows


def _step(row: list[Any], attempts: tuple[AttemptView, ...]) -> StepView:
    row[13], row[14], row[15] = _when(row[13]), _when(row[14]), _when(row[15])
    if row[16] is not None:
        row[16] = Decimal(row[16])
    row[18], row[19] = _hash(row[18]), _hash(row[19])
    row[20] = attempts
    return StepView._make(row)


_moment = datetime.fromisoformat


def _when(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)


def _hash(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
