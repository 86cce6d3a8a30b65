"""CPU per call: our gateway beside bare httpx2, against a local server that answers at once.

`python -m tests.benchmarks.provider_overhead [CALLS]`. Goal: at most 1.0 ms of CPU over the bare call. The
server is a process of its own, so that its CPU is not counted; both sides stream, read and parse the same
answer; the two are interleaved and the median of the rounds counts.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import django
import httpx2

from providers.config import Provider
from tests.faultserver import FaultServer

GOAL_MS = 1.0
ROUNDS = 7


def serve(pipe: Connection) -> None:
    """Answer until the parent is gone."""
    with FaultServer() as server:
        pipe.send(server.port)
        pipe.poll(None)


def bare(port: int) -> Callable[[], str]:
    """A client that trusts its provider: no time-outs by phase, no record, no checks."""
    client = httpx2.Client(trust_env=False)
    url = f"http://127.0.0.1:{port}/ok/v1/chat/completions"
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": True}

    def call() -> str:
        texts = []
        with client.stream("POST", url, json=body) as response:
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    for choice in json.loads(line[6:])["choices"]:
                        texts.append(choice["delta"].get("content") or "")
        return "".join(texts)

    return call


def ours(port: int) -> Callable[[], str]:
    """The gateway with everything: decisions, time limits, checks, record, price."""
    from tests.providing import Kept, ask  # noqa: PLC0415 - after django.setup()

    price = {"input": 1, "output": 2}
    body = {"name": "p", "api": "openai", "base_url": f"http://127.0.0.1:{port}/ok/v1"}
    provider = Provider.from_document({**body, "models": [{"name": "m", "price": price}]})
    return lambda: ask(provider, recorder=Kept()).text


def cpu_ms(call: Callable[[], str], calls: int) -> float:
    started = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - started) * 1000 / calls


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    os.environ.setdefault("INTERLOCK_SECRET_KEY", "benchmark")
    os.environ.setdefault("INTERLOCK_ENCRYPTION_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
    django.setup()
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    mine, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port = mine.recv()
    sides = {"bare httpx2": bare(port), "gateway": ours(port)}
    rounds: dict[str, list[float]] = {name: [] for name in sides}
    for name, call in sides.items():
        assert call() == "Hello there, how are you?", name
    for _ in range(ROUNDS):
        for name, call in sides.items():
            rounds[name].append(cpu_ms(call, calls))
    server.terminate()
    baseline, gateway = (statistics.median(rounds[name]) for name in sides)
    print("what                    ours     baseline  over      ratio  goal            machine")
    print(
        f"provider call, CPU ms   {gateway:<8.3f} {baseline:<9.3f} {gateway - baseline:<+9.3f} "
        f"{gateway / baseline:<6.2f} over <= {GOAL_MS} ms   {os.cpu_count()} cores"
    )
    return 0 if gateway - baseline <= GOAL_MS else 1


if __name__ == "__main__":
    sys.exit(main())
