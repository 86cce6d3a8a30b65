"""Many clients at once, against a real server with a real worker."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests import engine
from tests.web.api.conftest import make_token
from tests.web.api.test_start import ADD
from tests.web_server import WebServer
from tests.workers import Workers, until
from workflows.models import Run

CLIENTS = 20


@pytest.fixture
def web(transactional_db: None, tmp_path: Path) -> Iterator[WebServer]:
    """A web process with far fewer connections than there are clients."""
    server = WebServer(tmp_path, {"INTERLOCK_DB_POOL": "4"})
    yield server
    server.stop()


def _client(web: WebServer) -> Callable[..., tuple[int, Any, dict[str, str]]]:
    secret = make_token("operator")

    def post(path: str, body: Any, **headers: str) -> tuple[int, Any, dict[str, str]]:
        request = urllib.request.Request(  # noqa: S310  ours
            f"{web.url}/api/v1{path}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {secret}", "Content-Type": "application/json", **headers},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  ours
            return answer.status, json.load(answer), dict(answer.headers)

    return post


def test_twenty_clients_with_one_key_start_one_run(web: WebServer) -> None:
    engine.deploy(ADD)
    post, gate = _client(web), threading.Barrier(CLIENTS)

    def start(_: int) -> tuple[int, Any, dict[str, str]]:
        gate.wait()
        return post("/runs", {"workflow": "add", "input": {"a": 1}}, **{"Idempotency-Key": "once"})

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(start, range(CLIENTS)))
    assert Run.objects.count() == 1
    assert len({body["id"] for _, body, _ in answers}) == 1
    assert sorted(status for status, _, _ in answers) == [200] * (CLIENTS - 1) + [201]
    for status, _, headers in answers:
        assert (headers.get("Idempotency-Replayed") == "true") is (status == 200)


def test_clients_that_wait_leave_the_connections_to_others(web: WebServer) -> None:
    engine.deploy(ADD)
    post = _client(web)
    with ThreadPoolExecutor(CLIENTS + 1) as clients:
        waiting = [
            clients.submit(post, "/runs?wait=6", {"workflow": "add", "input": {"a": a}})
            for a in range(CLIENTS)
        ]
        until(lambda: Run.objects.count() == CLIENTS, within_s=30, what="all have started their runs")
        began = time.monotonic()
        post("/runs", {"workflow": "add", "input": {"a": 0}})
        assert time.monotonic() - began < 3
        assert {future.result()[1]["state"] for future in waiting} == {"queued"}


def test_twenty_clients_wait_for_their_runs_over_few_connections(web: WebServer, worker: Workers) -> None:
    engine.deploy(ADD)
    worker.start()
    post = _client(web)
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(
            clients.map(
                lambda a: post("/runs?wait=30", {"workflow": "add", "input": {"a": a}}), range(CLIENTS)
            )
        )
    assert [body["output"] for _, body, _ in answers] == [{"total": a + 1} for a in range(CLIENTS)]
    assert {body["state"] for _, body, _ in answers} == {"succeeded"}
