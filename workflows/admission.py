"""How many runs may be open at once: beyond it new ones are refused, so that a flood ends at its source.

Each process counts at most once a second, and adds what it has started itself since: the limit can be passed by what
other processes start within that second. Child runs are not asked: they are a part of what was admitted.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Final

from django.conf import settings

from workflows import database
from workflows.errors import TooMany

COUNTED_FOR_S: Final = 1.0
# Runs that end make room; how soon is not known, so a client is asked to come back after this time.
RETRY_AFTER_S: Final = 5


class _Open:
    """The open runs as this process knows them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.until = 0.0
        self.by_workflow: Counter[str] = Counter()

    def of(self, workflow: str) -> tuple[int, int]:
        """Return how many runs are open in all, and of this workflow."""
        with self.lock:
            if time.monotonic() >= self.until:
                self.by_workflow = _counted()
                self.until = time.monotonic() + COUNTED_FOR_S
            return self.by_workflow.total(), self.by_workflow[workflow]

    def add(self, workflow: str) -> None:
        with self.lock:
            self.by_workflow[workflow] += 1

    def forget(self) -> None:
        with self.lock:
            self.until = 0.0


_open = _Open()


def _counted() -> Counter[str]:
    """Count, but no further than the limit of the installation: what is beyond does not matter."""
    rows = database.fetch_all(
        "SELECT workflow, count(*) FROM (SELECT workflow FROM workflows_run WHERE ended_at IS NULL LIMIT $1) AS open "
        "GROUP BY workflow",
        [settings.MAX_OPEN_RUNS + 1],
    )
    return Counter(dict(rows))


def ask(workflow: str) -> None:
    """Ask for room for one more run.

    Raises:
        TooMany: there is none; `retry_after_s` says when to ask again.
    """
    everything, own = _open.of(workflow)
    if everything >= settings.MAX_OPEN_RUNS:
        raise TooMany(
            f"{everything:,} runs are open, as many as this installation takes (INTERLOCK_MAX_OPEN_RUNS). "
            "Nothing was started; try again in a moment, or let workers catch up.",
            code="too_many_runs",
            retry_after_s=RETRY_AFTER_S,
        )
    if own >= settings.MAX_OPEN_RUNS_PER_WORKFLOW:
        raise TooMany(
            f"{own:,} runs of workflow {workflow} are open, as many as one workflow may have "
            "(INTERLOCK_MAX_OPEN_RUNS_PER_WORKFLOW). Nothing was started; try again in a moment.",
            code="too_many_runs",
            retry_after_s=RETRY_AFTER_S,
        )


def started(workflow: str) -> None:
    """Count a run that was just started."""
    _open.add(workflow)


def forget() -> None:
    """Count anew at the next request."""
    _open.forget()
