"""A rollout followed in the terminal: one line whenever it moves or is measured. Reads only."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from django.db import connection

from workflows.models import Rollout
from workflows.models.rollouts import ROLLOUT_ACTIVE
from workflows.releases import rollouts

POLL_S: Final = 0.5


def follow(rollout_id: int, *, say: Callable[[str], None]) -> Rollout:
    """Say what changes until the rollout has ended; return it then."""
    told = ""
    while True:
        row = rollouts.get(rollout_id)
        if (now := line(row)) != told:
            say(now)
            told = now
        if row.state not in ROLLOUT_ACTIVE:
            return row
        if not connection.in_atomic_block:
            connection.close()  # back to the pool while we sleep
        time.sleep(POLL_S)


def line(row: Rollout) -> str:
    """Write where a rollout stands: state, step, weight, and why."""
    steps = len(row.plan["steps"])
    where = f"step {min(row.step + 1, steps)} of {steps}" if row.step >= 0 else "not begun"
    state = row.state.replace("_", " ")
    return f"Rollout {row.pk} {state}, {where}, weight {row.weight:g} %. {row.note}".rstrip()
