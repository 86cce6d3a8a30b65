"""Ten thousand failed runs retried by one bulk action: frozen, the first ten, then the rest; beside a thousand.

What counts is that each of them ends well, and that a run costs no more among ten thousand than among a thousand.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.db import connection

from tests import bulk
from tests.benchmarks import frame
from tests.benchmarks.frame import Measure, Row, Stand
from workflows.models import AuditEntry, BulkAction, Run

LARGE, SMALL = 10_000, 1_000
WITHIN_S = 1_200


@dataclass
class Carried:
    """One bulk action from its request to the end of its last run."""

    measure: Measure
    frozen_s: float


def retried(stand: Stand, count: int) -> Carried:
    """Let `count` runs fail through an outage, end the outage and retry them all.

    Raises:
        RuntimeError: not all of them succeeded, or the audit log does not tell of it once.
    """
    _forget()
    bulk.many_failed(count)
    bulk.mend()
    workers = [stand.workers.start(threads=16), stand.workers.start(threads=16)]
    with stand.measure(count) as measure:
        began = time.monotonic()
        action = bulk.start(canary=10, stop_above=0.1)
        frozen_s = time.monotonic() - began
        frame.wait_for(lambda: _over(action), within_s=WITHIN_S, every_s=0.5)
    frame.stop_all(*workers)
    succeeded = Run.objects.filter(workflow="asking", state="succeeded").count()
    told = AuditEntry.objects.filter(object_id=action.pk).count()
    if (succeeded, told) != (count, 1):
        raise RuntimeError(f"{succeeded:,} of {count:,} runs succeeded; {told} entries in the audit log.")
    return Carried(measure, frozen_s)


def _over(action: BulkAction) -> bool:
    action.refresh_from_db()
    return action.ended_at is not None and not Run.objects.filter(ended_at=None).exists()


def _forget() -> None:
    tables = ("run", "steprun", "attempt", "journalevent", "call", "lineage", "bulkaction", "auditentry")
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE " + ", ".join(f"workflows_{name}" for name in tables) + " CASCADE")


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    """Return the rows of this benchmark. One round of each: it is long enough."""
    large = max(SMALL, int(LARGE * scale))
    few, many = retried(stand, SMALL), retried(stand, large)
    per_s, few_per_s = many.measure.per_s, few.measure.per_s
    return [
        Row(
            what=f"bulk retry of {large:,} failed runs, runs per second",
            ours=f"{per_s:.0f} ({many.measure.wall_s:.0f} s, frozen in {many.frozen_s:.1f} s)",
            baseline=f"{SMALL:,} runs {few_per_s:.0f}",
            ratio=f"{per_s / few_per_s:.2f} ×",
            goal="≥ 0.8 ×",
            met=per_s >= 0.8 * few_per_s,
        )
    ]


if __name__ == "__main__":
    frame.alone(measure)
