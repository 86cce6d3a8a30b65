"""The page of a run on the server: ordinary runs, 2,000 and 10,000 steps; and what a hint costs a commit.

`python -m tests.benchmarks.run_page`. CPU of this process and wall time, through every middleware, on warm caches.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from typing import Final

from django.test import Client

from tests import example_runs, factories
from tests.benchmarks import frame
from tests.benchmarks.frame import Row, Stand
from workflows.engine import hints

GOAL_MS: Final = 200
GOAL_BYTES: Final = 20_000
HINTS: Final = 20_000
GOAL_HINT_US: Final = 50


def _timed(call: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median wall and CPU milliseconds of a call, after one to warm up."""
    call()
    wall, cpu = [], []
    for _ in range(max(rounds, 3)):
        began, used = time.perf_counter(), time.process_time()
        call()
        cpu.append(1000 * (time.process_time() - used))
        wall.append(1000 * (time.perf_counter() - began))
    return frame.percentile(wall, 0.5), frame.percentile(cpu, 0.5)


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    client = Client(headers={"host": "localhost"})
    client.force_login(factories.user(name="reader"))
    factories.prompts()
    items = int(1000 * scale)
    runs = {
        "ordinary": (example_runs.failed_run(), ""),
        f"{2 * items:,} steps, folded": (example_runs.map_run(items), ""),
        f"{2 * items:,} steps, half failed": (example_runs.map_run(items, failed=range(0, items, 2)), ""),
        f"{10 * items:,} steps, folded": (example_runs.map_run(5 * items), ""),
        f"{10 * items:,} steps, deep link": (
            example_runs.map_run(5 * items),
            f"?step=each[{4 * items}]/reply",
        ),
    }
    rows = [
        _page(client, name, f"/runs/{made.run.id}/{query}", rounds) for name, (made, query) in runs.items()
    ]
    return [*rows, *_hints(stand)]


def _page(client: Client, name: str, address: str, rounds: int) -> Row:
    wall, cpu = _timed(lambda: client.get(address), rounds)
    size = len(gzip.compress(client.get(address).content))
    large = name.startswith("10")
    return Row(
        what=f"run page, {name}",
        ours=f"{wall:.0f} ms, {cpu:.0f} ms of CPU, {size / 1000:.1f} KB gz",
        goal="–" if large else f"≤ {GOAL_MS} ms, ≤ {GOAL_BYTES / 1000:.0f} KB",
        met=None if large else wall <= GOAL_MS and size <= GOAL_BYTES,
    )


def _hints(stand: Stand) -> list[Row]:
    """What `hints.tell` takes of a commit, with the broker there and with it gone."""
    rows = [_hint_row("a hint, broker there")]
    stand.servers.kill("valkey")
    rows.append(_hint_row("a hint, broker gone"))
    stand.servers.start_valkey()
    return rows


def _hint_row(what: str) -> Row:
    longest, began = 0.0, time.perf_counter()
    for number in range(HINTS):
        one = time.perf_counter()
        hints.tell(f"r_{number % 40:013d}")
        longest = max(longest, time.perf_counter() - one)
    mean = 1e6 * (time.perf_counter() - began) / HINTS
    return Row(
        what=what,
        ours=f"{mean:.1f} µs, longest {1000 * longest:.1f} ms",
        goal=f"≤ {GOAL_HINT_US} µs",
        met=mean <= GOAL_HINT_US,
    )


if __name__ == "__main__":
    frame.alone(measure)
