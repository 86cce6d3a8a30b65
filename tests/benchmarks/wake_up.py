"""From a run's creation to its first attempt on an idle worker, beside a raw Celery task and a DBOS queue."""

from __future__ import annotations

import time

from tests.benchmarks import frame
from tests.benchmarks.celery_noop import Noop
from tests.benchmarks.dbos import Dbos
from tests.benchmarks.frame import Row, Stand, percentile
from tests.engine import deploy, start
from workflows import database

WORKFLOW = """
name: one
steps:
  - {id: a, set: {v: 1}}
"""
TOOK = """
SELECT 1000 * extract(epoch FROM a.started_at - r.created_at)::float8
  FROM workflows_attempt a JOIN workflows_run r ON r.id = a.run_id WHERE r.id = $1
"""


def ours_ms() -> float:
    """Start a run; return the milliseconds from its row's creation to its first attempt's."""
    run = start("one")
    frame.wait_for(lambda: bool(database.fetch_all(TOOK, [run.pk])), within_s=10, every_s=0.002)
    return float(database.fetch_all(TOOK, [run.pk])[0][0])


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    """Return the rows of this benchmark."""
    deploy(WORKFLOW)
    worker = stand.workers.start(threads=32)
    ours: list[float] = []
    celery: list[float] = []
    dbos: list[float] = []
    with Noop(stand) as noop, Dbos(stand) as queue:
        for number in range(-10, max(10, int(rounds * 40 * scale))):
            sides = (
                (ours, ours_ms),
                (celery, noop.way_ms),
                (dbos, lambda: float(queue.enqueue("late", time.time()).get_result()) * 1000),
            )
            for samples, sample in sides:
                time.sleep(0.02)  # idle again
                took = sample()
                if number >= 0:
                    samples.append(took)
    frame.stop_all(worker)
    return [row(0.5, ours, celery, dbos), row(0.95, ours, celery, dbos)]


def row(share: float, ours: list[float], celery: list[float], dbos: list[float]) -> Row:
    mine, theirs, others = (percentile(samples, share) for samples in (ours, celery, dbos))
    judged = share == 0.5
    return Row(
        what=f"run accepted → first attempt, p{share * 100:.0f}",
        ours=f"{mine:.1f} ms",
        baseline=f"Celery {theirs:.1f}, DBOS {others:.1f} ms",
        ratio=f"{mine - theirs:+.1f} ms",
        goal="≤ Celery + 5 ms" if judged else "–",
        met=mine <= theirs + 5 if judged else None,
    )


if __name__ == "__main__":
    frame.alone(measure)
