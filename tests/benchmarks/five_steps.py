"""Five trivial steps, started to ended through a real worker, beside DBOS Transact with a worker process."""

from __future__ import annotations

from tests.benchmarks import frame
from tests.benchmarks.dbos import Dbos
from tests.benchmarks.frame import Measure, Row, Stand
from tests.engine import deploy, start
from workflows import database

STEPS = 5
WORKFLOW = """
name: five
steps:
  - {id: a, set: {v: "{{ input.n + 1 }}"}}
  - {id: b, set: {v: "{{ steps.a.output.v + 1 }}"}}
  - {id: c, set: {v: "{{ steps.b.output.v + 1 }}"}}
  - {id: d, set: {v: "{{ steps.c.output.v + 1 }}"}}
  - {id: e, set: {v: "{{ steps.d.output.v + 1 }}"}}
output: "{{ steps.e.output.v }}"
"""


def none_open() -> bool:
    """Say whether every run has ended.

    Raises:
        RuntimeError: one of them failed: what was measured was not the work.
    """
    rows = database.fetch_all(
        "SELECT count(*) FILTER (WHERE ended_at IS NULL), count(*) FILTER (WHERE state = 'failed') "
        "FROM workflows_run WHERE ended_at IS NULL OR state = 'failed'",
        [],
    )
    if rows[0][1]:
        raise RuntimeError(f"{rows[0][1]} runs failed.")
    return bool(rows[0][0] == 0)


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    """Return the rows of this benchmark."""
    runs = int(300 * scale)
    deploy(WORKFLOW)
    worker = stand.workers.start(threads=32)
    with Dbos(stand) as dbos:

        def ours() -> Measure:
            with stand.measure(runs, worker) as measured:
                for n in range(runs):
                    start("five", n=n)
                frame.wait_for(none_open)
            return measured

        def theirs() -> Measure:
            with stand.measure(runs, dbos.worker, database=dbos.name) as measured:
                for n in range(runs):
                    dbos.enqueue("five", n)
                frame.wait_for(dbos.done)
            return measured

        found = frame.interleaved(rounds, ours, theirs)
    frame.stop_all(worker)
    return rows(*found)


def rows(ours: list[Measure], theirs: list[Measure]) -> list[Row]:
    speed, their_speed = (frame.median(side, lambda m: m.per_s) for side in (ours, theirs))
    cpu, their_cpu = (frame.median(side, lambda m: m.cpu_ms / STEPS) for side in (ours, theirs))
    writes, their_writes = (frame.median(side, lambda m: m.writes / m.units) for side in (ours, theirs))
    for name, side in (("ours", ours), ("DBOS", theirs)):
        transactions = frame.median(side, lambda m: m.transactions / m.units)
        frame.note(
            f"five steps, {name}: ms CPU per workflow: {frame.shares(side)}; {transactions:.1f} transactions"
        )
    return [
        Row(
            what="five-step workflow, per second",
            ours=f"{speed:.0f}",
            baseline=f"DBOS {their_speed:.0f}",
            ratio=f"{speed / their_speed:.1f} ×",
            goal="≥ 3 × DBOS",
            met=speed >= 3 * their_speed,
        ),
        Row(
            what="  CPU per step, all processes",
            ours=f"{cpu:.2f} ms",
            baseline=f"DBOS {their_cpu:.2f} ms",
            ratio=f"{cpu / their_cpu:.2f} ×",
            goal="≤ 1.2 ms",
            met=cpu <= 1.2,
        ),
        Row(
            what="  commits per workflow of 5 steps",
            ours=f"{writes:.2f}",
            baseline=f"DBOS {their_writes:.2f}",
            ratio=f"{writes / their_writes:.2f} ×",
            goal="≤ 7 (N + 2)",
            met=writes <= STEPS + 2,
        ),
    ]


if __name__ == "__main__":
    frame.alone(measure)
