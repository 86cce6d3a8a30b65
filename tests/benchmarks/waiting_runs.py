"""500 runs that wait on slow model calls at once, on one worker process."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from tests.benchmarks import frame
from tests.benchmarks.frame import Row, Stand
from tests.engine import apply, start
from tests.workers import Worker
from workflows import database

LATENCY_S = 10
PROVIDER = f"""
kind: Provider
name: slow
api: scripted
models: [{{name: m, context_tokens: 8000}}]
rules: [{{match: ".", reply: "ok", latency: {LATENCY_S}s}}]
"""
ROUTE = """
kind: Route
name: slow
targets: [slow/m]
timeout: 60s
deadline: 120s
"""
PROMPT = """
kind: Prompt
name: wait
messages: [{role: user, content: "Take your time."}]
"""
WORKFLOW = """
kind: Workflow
name: waiting
steps:
  - {id: ask, prompt: wait, route: slow}
"""
# Now in flight, all connections of workers, and how many runs have succeeded.
LOOK = """
SELECT (SELECT count(*) FROM workflows_call WHERE state = 'sending'),
       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
           AND backend_type = 'client backend'),
       (SELECT count(*) FROM workflows_run WHERE workflow = 'waiting' AND state = 'succeeded')
"""


@dataclass
class Peak:
    """The highest that was seen of each."""

    in_flight: int = 0
    connections: int = 0
    memory_mb: float = 0.0


def watch(worker: Worker, runs: int) -> Peak:
    """Look until all runs have succeeded.

    Raises:
        RuntimeError: they did not in time.
    """
    peak, process = Peak(), psutil.Process(worker.pid)
    succeeded, until = 0, time.monotonic() + 300
    while succeeded < runs:
        if time.monotonic() > until:
            raise RuntimeError(f"{succeeded} of {runs} runs succeeded within 300 s.")
        in_flight, connections, succeeded = database.fetch_all(LOOK, [])[0]
        peak.in_flight = max(peak.in_flight, in_flight)
        peak.connections = max(peak.connections, connections)
        peak.memory_mb = max(peak.memory_mb, process.memory_info().rss / 2**20)
        time.sleep(0.2)
    return peak


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    """Return the rows of this benchmark. Once is enough: what counts are peaks."""
    runs = int(500 * scale)
    apply(PROVIDER, ROUTE, PROMPT, WORKFLOW)
    worker = stand.workers.start(threads=512)
    with stand.measure(runs, worker) as measured:
        for _ in range(runs):
            start("waiting")
        peak = watch(worker, runs)
    frame.stop_all(worker)
    what = f"{runs} runs, each waiting {LATENCY_S} s on a model"
    return [
        Row(
            what=f"{what}: in flight at once",
            ours=f"{peak.in_flight}",
            goal=f"all {runs}",
            met=peak.in_flight >= runs,
        ),
        Row(
            what="  database connections, memory of the worker",
            ours=f"{peak.connections}, {peak.memory_mb:.0f} MB",
            goal="< 30, < 600 MB",
            met=peak.connections < 30 and peak.memory_mb < 600,
        ),
        Row(what="  first start to last end", ours=f"{measured.wall_s:.1f} s", baseline=f"{LATENCY_S} s"),
    ]


if __name__ == "__main__":
    frame.alone(measure)
