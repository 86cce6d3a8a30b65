"""Verified replay of runs of a hundred trivial steps, beside their live execution by a real worker.

The replay reads everything from the database, as one in another process does: nothing of the runs is in its cache.
"""

from __future__ import annotations

import time

from tests.benchmarks import frame
from tests.benchmarks.frame import Measure, Row, Stand
from tests.engine import deploy, start
from tests.workers import Worker
from workflows import database
from workflows.models import Run
from workflows.replay import verify

STEPS = 100


def workflow() -> str:
    """Return a chain of steps that each add one to what the step before came to."""
    values = ["input.n", *(f"steps.s{n}.output.v" for n in range(1, STEPS))]
    steps = "\n".join(
        f'  - {{id: s{n}, set: {{v: "{{{{ {value} + 1 }}}}"}}}}' for n, value in enumerate(values, 1)
    )
    return f'name: hundred\nsteps:\n{steps}\noutput: "{{{{ steps.s{STEPS}.output.v }}}}"\n'


class Runs:
    """Runs that were just carried out, for the replay that follows."""

    def __init__(self, stand: Stand, worker: Worker, count: int) -> None:
        self.stand, self.worker, self.count = stand, worker, count
        self.made: list[str] = []

    def live(self) -> Measure:
        """Carry out runs one after the other; each counts from its creation to its end, by the database's clock."""
        self.made = []
        with self.stand.measure(self.count, self.worker) as measured:
            for _ in range(self.count):
                self.made.append(start("hundred", n=time.monotonic_ns()).pk)
                frame.wait_for(lambda: self._ended() == len(self.made), every_s=0.1)
            measured.wall_s = self._took()
        return measured

    def replayed(self) -> Measure:
        with self.stand.measure(self.count) as measured:
            began = time.monotonic()
            for run in self.made:
                found = verify.replay(run)
                if found.verdict != "identical" or found.checked != STEPS:
                    raise RuntimeError(f"Run {run} came out {found.verdict}, {found.checked} steps checked.")
            measured.wall_s = time.monotonic() - began
        return measured

    def _ended(self) -> int:
        return Run.objects.filter(pk__in=self.made, state="succeeded").count()

    def _took(self) -> float:
        rows = database.fetch_all(
            "SELECT extract(epoch FROM sum(ended_at - created_at))::float8 "
            "FROM workflows_run WHERE id = ANY ($1)",
            [self.made],
        )
        return float(rows[0][0])


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    """Return the rows of this benchmark."""
    deploy(workflow())
    worker = stand.workers.start(threads=4)
    runs = Runs(stand, worker, max(2, int(20 * scale)))
    live, replayed = frame.interleaved(rounds, runs.live, runs.replayed)
    frame.stop_all(worker)
    frame.note(f"replay, live: ms CPU per run: {frame.shares(live)}")
    frame.note(f"replay, replayed: ms CPU per run: {frame.shares(replayed)}")
    took, their_took = (frame.median(side, lambda m: 1000 * m.wall_s / m.units) for side in (replayed, live))
    cpu, their_cpu = (frame.median(side, lambda m: m.cpu_ms) for side in (replayed, live))
    return [
        Row(
            what=f"replay-verify a run of {STEPS} steps",
            ours=f"{took:.1f} ms",
            baseline=f"live {their_took:.0f} ms",
            ratio=f"{their_took / took:.1f} × faster",
            goal="≥ 5 × faster",
            met=their_took >= 5 * took,
        ),
        Row(
            what="  CPU, all processes",
            ours=f"{cpu:.1f} ms",
            baseline=f"live {their_cpu:.0f} ms",
            ratio=f"{their_cpu / cpu:.1f} × less",
        ),
    ]


if __name__ == "__main__":
    frame.alone(measure)
