"""A map over trivial items: items per second beside raw Celery tasks, and what an item costs by the map's size."""

from __future__ import annotations

from tests.benchmarks import frame
from tests.benchmarks.celery_noop import Noop
from tests.benchmarks.five_steps import none_open
from tests.benchmarks.frame import Measure, Row, Stand
from tests.engine import deploy, start
from tests.workers import Worker

WORKFLOW = """
name: items
steps:
  - id: each
    map: {over: input.list, as: n, max_parallel: 32, steps: [{id: twice, set: {v: "{{ n * 2 }}"}}]}
"""
LARGE, SMALL = 10_000, 100


def maps(stand: Stand, worker: Worker, *, of: int, times: int) -> Measure:
    """Run `times` maps of `of` items, one after the other."""
    with stand.measure(of * times, worker) as measured:
        for _ in range(times):
            start("items", list=list(range(of)))
            frame.wait_for(none_open, within_s=600)
    return measured


def tasks(stand: Stand, noop: Noop, count: int) -> Measure:
    with stand.measure(count, noop.worker) as measured:
        for _ in range(count):
            noop.send()
        frame.wait_for(noop.done, within_s=600)
    return measured


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    """Return the rows of this benchmark."""
    large = max(SMALL, int(LARGE * scale))
    deploy(WORKFLOW)
    worker = stand.workers.start(threads=32)
    with Noop(stand) as noop:
        many, few, raw = frame.interleaved(
            rounds,
            lambda: maps(stand, worker, of=large, times=1),
            lambda: maps(stand, worker, of=SMALL, times=max(1, int(20 * scale))),
            lambda: tasks(stand, noop, large),
        )
    frame.stop_all(worker)
    frame.note(f"map items: ms CPU per item of {large:,}: {frame.shares(many)}")
    frame.note(f"map items: ms CPU per item of {SMALL}: {frame.shares(few)}")
    frame.note(f"map items: ms CPU per Celery task: {frame.shares(raw)}")
    speed, their_speed = (frame.median(side, lambda m: m.per_s) for side in (many, raw))
    cost, small_cost = (frame.median(side, lambda m: m.cpu_ms) for side in (many, few))
    return [
        Row(
            what=f"map over {large:,} items, items per second",
            ours=f"{speed:.0f}",
            baseline=f"Celery no-op {their_speed:.0f}",
            ratio=f"{speed / their_speed:.2f} ×",
            goal="≥ 0.5 ×",
            met=speed >= 0.5 * their_speed,
        ),
        Row(
            what=f"  CPU per item of {large:,}, of {SMALL}",
            ours=f"{cost:.2f} ms",
            baseline=f"{small_cost:.2f} ms",
            ratio=f"{cost / small_cost:.2f} ×",
            goal="≤ 1.10 ×",
            met=cost <= 1.1 * small_cost,
        ),
    ]


if __name__ == "__main__":
    frame.alone(measure)
