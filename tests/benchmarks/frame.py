"""What every benchmark shares: servers with fsync, CPU by process tree, interleaved rounds, the table.

May not know what is measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
import psycopg

from console.processes import Command, spawn, stop
from tests import standalone
from tests.servers import Servers
from tests.workers import ROOT, Worker, Workers

BASELINES: Final = Path(__file__).parent / "baselines"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. `met`: whether the goal is reached; None where there is none."""

    what: str
    ours: str
    baseline: str = "–"
    ratio: str = "–"
    goal: str = "–"
    met: bool | None = None


@dataclass
class Measure:
    """What one round took: seconds of wall time, CPU seconds by group of processes, for `units` pieces of work."""

    units: int
    wall_s: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)
    transactions: float = 0.0  # that ended in this round, those that only read included
    writes: float = 0.0  # that wrote something
    samples_ms: list[float] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        return self.units / self.wall_s

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds per unit, over all processes."""
        return 1000 * sum(self.cpu_s.values()) / self.units


@dataclass(frozen=True)
class Stand:
    """The servers, a factory of our workers, and where baselines are started."""

    servers: Servers
    workers: Workers
    folder: Path

    def start_baseline(self, script: str, *arguments: str, env: Mapping[str, str] | None = None) -> Worker:
        """Start `baselines/<script>.py` and wait until it prints `ready`."""
        log = (
            self.folder / f"{script}-{len(self.workers.started)}.log"
        )  # its own: an older one says `ready` too
        command = Command(
            (sys.executable, str(BASELINES / f"{script}.py"), *arguments), cwd=ROOT, env=env or {}
        )
        worker = Worker(spawn(command, log=log), log)
        self.workers.started.append(worker)
        ends = time.monotonic() + 60
        while "ready" not in worker.log:
            if not worker.alive or time.monotonic() > ends:
                raise RuntimeError(f"The baseline {script} did not start:\n{worker.log[-3000:]}")
            time.sleep(0.05)
        return worker

    def database(self, name: str) -> str:
        """Create an empty database for a baseline; return its address."""
        with psycopg.connect(self.servers.postgres.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.servers.postgres.url(name)

    def measure(self, units: int, worker: Worker | None = None, *, database: str = "interlock") -> Meter:
        """Measure a `with` block: this process, the worker, Postgres and Valkey."""
        groups = {name: process.pid for name, process in self.servers.processes.items()}
        if worker is not None:
            groups["worker"] = worker.pid
        return Meter(units, groups, self.servers.postgres.url(), database)


class Meter:
    """Context manager that fills a Measure."""

    def __init__(self, units: int, groups: Mapping[str, int], url: str, database: str) -> None:
        self.measure = Measure(units)
        self.groups, self.url, self.database = groups, url, database

    def __enter__(self) -> Measure:
        self.before = (_counters(self.url, self.database), self._cpu(), time.monotonic())
        return self.measure

    def __exit__(self, *_: object) -> None:
        ended, cpu = time.monotonic(), self._cpu()
        (transactions, writes), cpu_before, began = self.before
        self.measure.wall_s = self.measure.wall_s or ended - began
        self.measure.cpu_s = {name: cpu[name] - cpu_before[name] for name in cpu}
        after = _counters(self.url, self.database)
        self.measure.transactions = after[0] - transactions
        self.measure.writes = after[1] - writes

    def _cpu(self) -> dict[str, float]:
        own = os.times()
        return {"starter": own.user + own.system, **{n: tree_cpu_s(pid) for n, pid in self.groups.items()}}


def tree_cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process and its descendants have used, those that ended included."""
    root = psutil.Process(pid)
    total = 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # its time is in its parent's sum of ended children
        total += used.user + used.system + used.children_user + used.children_system
    return total


def _counters(url: str, database: str) -> tuple[int, int]:
    """Return transactions so far of one database, and transaction ids so far of the cluster: those that wrote."""
    time.sleep(1.1)  # backends report at most once a second
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT xact_commit, pg_snapshot_xmax(pg_current_snapshot())::text::bigint "
            "FROM pg_stat_database WHERE datname = %s",
            [database],
        ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def wait_for(done: Callable[[], bool], *, within_s: float = 300, every_s: float = 0.03) -> None:
    """Wait for something to become true.

    Raises:
        RuntimeError: it did not in time.
    """
    ends = time.monotonic() + within_s
    while not done():
        if time.monotonic() > ends:
            raise RuntimeError(f"The work was not done within {within_s:g} s.")
        time.sleep(every_s)


def interleaved(rounds: int, *sides: Callable[[], Measure]) -> list[list[Measure]]:
    """Run the sides in turns, once before to warm up. Returns the measures of each side."""
    found: list[list[Measure]] = [[] for _ in sides]
    for number in range(-1, rounds):
        for side, measures in zip(sides, found, strict=True):
            measure = side()
            if number >= 0:
                measures.append(measure)
    return found


def median(measures: Sequence[Measure], of: Callable[[Measure], float]) -> float:
    return statistics.median(of(measure) for measure in measures)


def shares(measures: Sequence[Measure]) -> str:
    """Say which processes the CPU time went to, in ms per unit."""
    names = measures[0].cpu_s
    parts = {n: median(measures, lambda m, n=n: 1000 * m.cpu_s[n] / m.units) for n in names}  # type: ignore[misc]
    return ", ".join(f"{name} {ms:.2f}" for name, ms in parts.items())


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the samples lie."""
    return sorted(samples)[min(len(samples) - 1, int(share * len(samples)))]


def machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores {platform.machine()}, {memory:.0f} GB, "
        f"Python {platform.python_version()}, load {load:.1f}"
    )


def print_table(rows: Sequence[Row]) -> None:
    """Print rows, each column as wide as it needs."""
    head = ("what", "ours", "baseline", "ratio", "goal", "")
    marks = {True: "met", False: "missed", None: ""}
    lines = [head, *((r.what, r.ours, r.baseline, r.ratio, r.goal, marks[r.met]) for r in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    print()
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    print(f"machine: {machine()}", flush=True)


def note(text: str) -> None:
    """Say how it goes, beside the table."""
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


@contextmanager
def standing() -> Iterator[Stand]:
    """Run servers for benchmarks; afterwards end everything that was started on them."""
    with tempfile.TemporaryDirectory(prefix="interlock-bench-") as folder, standalone.serving() as servers:
        workers = Workers(Path(folder))
        try:
            yield Stand(servers, workers, Path(folder))
        finally:
            workers.stop_all()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure Interlock beside a baseline, on servers of its own."
    )
    parser.add_argument("names", nargs="*", help="which ones (all)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each side; the median counts (5)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: to see that it runs")
    return parser.parse_args()


def alone(measure: Callable[[Stand, int, float], list[Row]]) -> None:
    """Run one benchmark as a program. `measure` takes the stand, rounds, and the scale of the work."""
    given = arguments()
    with standing() as stand:
        print_table(measure(stand, given.rounds, 0.1 if given.quick else 1.0))


def stop_all(*workers: Worker) -> None:
    for worker in workers:
        stop(worker.process, grace_s=10)
