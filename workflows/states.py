"""States of a run, a step run, an attempt, a bulk action and a rollout, and the legal moves between them, as data.

Pure: nothing here reads or writes anything. Every state change in the product is a guarded update
`… WHERE state IN (sources of the target)`, and `docs/states.md` is generated from these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Moves = Mapping[str, frozenset[str]]


def _moves(table: Mapping[str, str]) -> Moves:
    return {source: frozenset(targets.split()) for source, targets in table.items()}


RUN: Final[Moves] = _moves(
    {
        "queued": "running waiting paused succeeded failed cancelled",
        "running": "waiting paused succeeded failed cancelled",
        "waiting": "running paused succeeded failed cancelled",
        "paused": "queued running waiting cancelled failed",
        # Only a person leads a run out of an end state, by recovery.
        "failed": "running",
        "cancelled": "running",
        "succeeded": "",
    }
)

STEP: Final[Moves] = _moves(
    {
        "pending": "ready running skipped cancelled",
        "ready": "pending running cancelled",  # `pending`: its run was paused
        # To `ready`: lost or interrupted (`pending` while the run is paused). To `waiting`: a retry, children that
        # have to end first, a person, a signal, a time.
        "running": "pending ready waiting succeeded failed unknown skipped cancelled",
        "waiting": "pending ready succeeded failed skipped cancelled",
        "unknown": "ready succeeded failed skipped cancelled",
        "failed": "pending ready succeeded skipped",  # `pending`: its run waits for a place
        "cancelled": "pending ready",
        "succeeded": "",
        "skipped": "",
    }
)

ATTEMPT: Final[Moves] = _moves(
    {
        "running": "succeeded failed lost interrupted cancelled",
        # A late result of the very attempt that was given up still settles an unknown effect.
        "lost": "succeeded failed",
        "interrupted": "succeeded failed",
        "succeeded": "",
        "failed": "",
        "cancelled": "",
    }
)

# An action on many runs. `waiting`: until it can no longer be undone.
BULK: Final[Moves] = _moves(
    {
        "waiting": "running stopped",
        "running": "paused stopped finished",
        "paused": "running stopped",
        "stopped": "",
        "finished": "",
    }
)

# The move of an environment from its stable release to a candidate. The clock moves one that is running only.
ROLLOUT: Final[Moves] = _moves(
    {
        "running": "paused succeeded rolled_back aborted superseded",
        "paused": "running succeeded aborted superseded",
        "succeeded": "",
        "rolled_back": "",
        "aborted": "",
        "superseded": "",
    }
)

RUN_ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})
RUN_ACTIVE: Final = frozenset({"queued", "running", "waiting"})
# A need in one of these states counts as done for its successors.
STEP_DONE: Final = frozenset({"succeeded", "skipped"})
STEP_ENDED: Final = frozenset({"succeeded", "failed", "skipped", "cancelled"})


def may(table: Moves, *, source: str, target: str) -> bool:
    """Say whether a move is legal. Unknown names are an error, not a no."""
    if target not in table:
        raise KeyError(target)
    return target in table[source]


def sources(table: Moves, *, target: str) -> frozenset[str]:
    """Return the states from which `target` may be reached."""
    return frozenset(source for source, targets in table.items() if target in targets)


TABLES: Final[Mapping[str, Moves]] = {
    "Run": RUN,
    "Step run": STEP,
    "Attempt": ATTEMPT,
    "Bulk action": BULK,
    "Rollout": ROLLOUT,
}


def as_markdown() -> str:
    """Return the page docs/states.md, which a check holds against these tables."""
    parts = [HEAD]
    for title, table in TABLES.items():
        parts += [f"## {title}\n", "| state | may become |\n|---|---|"]
        parts += [
            f"| {state} | {', '.join(sorted(targets)) or 'nothing: it is final'} |"
            for state, targets in table.items()
        ]
        parts.append("")
    return "\n".join(parts)


HEAD: Final = """# States

Generated from `workflows/states.py` by `make docs`; do not edit.

Every change of state is an update that names the states it may come from, and counts only if one row moved.
A *retrying* step is `waiting` with a time to wake; a run *needs attention* that is failed, or
`waiting` on an `unknown` step.
"""
