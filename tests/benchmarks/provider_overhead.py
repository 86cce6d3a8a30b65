"""CPU per call: our gateway beside bare httpx2, against a local server that answers at once.

Goal: at most 1.0 ms of CPU over the bare call. The
server is a process of its own, so that its CPU is not counted; both sides stream, read and parse the same
answer; the two are interleaved and the median of the rounds counts.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import httpx2

from providers.config import Provider
from tests.benchmarks import frame
from tests.benchmarks.frame import Row, Stand
from tests.faultserver import FaultServer
from tests.providing import Kept, ask

GOAL_MS = 1.0


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
    price = {"input": 1, "output": 2}
    body = {"name": "p", "api": "openai", "base_url": f"http://127.0.0.1:{port}/ok/v1"}
    provider = Provider.from_document({**body, "models": [{"name": "m", "price": price}]})
    return lambda: ask(provider, recorder=Kept()).text


def cpu_ms(call: Callable[[], str], calls: int) -> float:
    started = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - started) * 1000 / calls


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    """Return the rows of this benchmark."""
    calls = max(20, int(200 * scale))
    mine, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port = mine.recv()
    sides = {"bare httpx2": bare(port), "gateway": ours(port)}
    found: dict[str, list[float]] = {name: [] for name in sides}
    for name, call in sides.items():
        assert call() == "Hello there, how are you?", name
    for _ in range(rounds):
        for name, call in sides.items():
            found[name].append(cpu_ms(call, calls))
    server.terminate()
    baseline, gateway = (statistics.median(found[name]) for name in sides)
    return [
        Row(
            what="provider call through the gateway, CPU",
            ours=f"{gateway:.2f} ms",
            baseline=f"httpx2 {baseline:.2f} ms",
            ratio=f"{gateway - baseline:+.2f} ms",
            goal=f"≤ +{GOAL_MS} ms",
            met=gateway - baseline <= GOAL_MS,
        )
    ]


if __name__ == "__main__":
    frame.alone(measure)
