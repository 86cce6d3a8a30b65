"""The streams of a run: what they send, how they resume, when they end, and that they hold nothing meanwhile."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from console.models import Role
from tests import example_runs, factories
from tests.factories import RunMaker
from tests.servers import Servers
from tests.web_server import WebServer
from workflows.engine import hints
from workflows.models import Run


class Watcher:
    """A client that reads a stream line by line."""

    def __init__(self, web: WebServer, path: str, **headers: str) -> None:
        client = Client()
        client.force_login(factories.user(Role.VIEWER, f"watcher-{time.monotonic_ns()}"))
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        self.web, self.path = web, path
        self.headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}", "Accept-Encoding": "gzip"}
        self.headers |= {name.replace("_", "-"): value for name, value in headers.items()}

    def open(self) -> HTTPResponse:
        request = urllib.request.Request(self.web.url + self.path, headers=self.headers)  # noqa: S310  ours
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=20)  # noqa: S310  ours
        return answer


def events(answer: HTTPResponse) -> Iterator[dict[str, Any]]:
    """Read events; the comments between them fall away."""
    found: dict[str, Any] = {}
    for raw in answer:
        line = raw.decode().rstrip("\n")
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[name] = json.loads(value) if name == "data" else value
        elif "event" in found:
            yield found
            found = {}


def succeed(made: RunMaker) -> None:
    Run.objects.filter(pk=made.run.pk).update(state="succeeded", ended_at=timezone.now())
    made.journal("run.succeeded", 7)
    hints.tell(made.run.id)


def test_a_page_is_told_within_a_second_and_the_stream_ends_with_the_run(web: WebServer) -> None:
    made = example_runs.running_run()
    with Watcher(web, f"/runs/{made.run.id}/live/").open() as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Content-Encoding"] == "identity"
        assert answer.headers["Cache-Control"] == "no-store"
        heard = events(answer)
        assert next(heard)["event"] == "change"
        time.sleep(0.5)
        began = time.monotonic()
        succeed(made)
        last = next(heard)
        assert time.monotonic() - began < 1
        assert (last["event"], last["data"]) == ("end", {"state": "succeeded"})
        assert list(heard) == []


def test_a_client_that_comes_again_after_the_end_is_told_to_stay_away(web: WebServer) -> None:
    made = example_runs.succeeded_run()
    newest = str(max(made.run.journal.values_list("seq", flat=True)))
    for path in (f"/runs/{made.run.id}/live/", f"/api/v1/runs/{made.run.id}/stream"):
        with Watcher(web, path, Last_Event_ID=newest).open() as answer:
            assert answer.status == 204
        with Watcher(web, path, Last_Event_ID="1").open() as answer:
            assert answer.status == 200
            assert list(events(answer))[-1]["id"] == newest


def test_the_api_tells_steps_and_state_and_resumes(web: WebServer) -> None:
    made = example_runs.running_run()
    path = f"/api/v1/runs/{made.run.id}/stream"
    with Watcher(web, path).open() as answer:
        heard = events(answer)
        steps, state = next(heard), next(heard)
    assert [step["path"] for step in steps["data"]["steps"]] == ["classify", "search", "answer"]
    assert steps["data"]["steps"][2]["state"] == "running"
    assert state["data"] == {"state": "running", "error": None}
    made.journal("step.progress", 5, step=made.steps["search"])
    with Watcher(web, path, Last_Event_ID=state["id"]).open() as answer:
        again = next(events(answer))
    assert [step["path"] for step in again["data"]["steps"]] == ["search"]
    assert int(again["id"]) > int(state["id"])


def test_a_run_deleted_meanwhile_ends_the_stream(web: WebServer) -> None:
    made = factories.run("running")
    with Watcher(web, f"/runs/{made.run.id}/live/").open() as answer:
        heard = events(answer)
        next(heard)
        with transaction.atomic():  # a look between both would be a change
            made.run.journal.all().delete()
            Run.objects.filter(pk=made.run.pk).delete()
        hints.tell(made.run.id)
        assert next(heard)["event"] == "gone"


def test_streams_hold_no_connection_and_one_person_has_four(web: WebServer) -> None:
    made = example_runs.running_run()
    watcher = Watcher(web, f"/runs/{made.run.id}/live/")
    opened = [watcher.open() for _ in range(4)]
    for answer in opened:
        next(events(answer))
    with pytest.raises(urllib.error.HTTPError) as refused:
        watcher.open()
    assert refused.value.code == 429
    assert refused.value.headers["Retry-After"] == "30"
    refused.value.close()
    time.sleep(0.5)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
        assert cursor.fetchone()[0] == 0
    for answer in opened:
        answer.close()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:  # the server notices when it writes next
        hints.tell(made.run.id)
        try:
            watcher.open().close()
            return
        except urllib.error.HTTPError as still:
            still.close()
            time.sleep(0.3)
    pytest.fail("closed streams still count")


def test_without_a_broker_the_stream_looks_by_itself(web: WebServer, servers: Servers) -> None:
    made = example_runs.running_run()
    servers.kill("valkey")
    try:
        with Watcher(web, f"/runs/{made.run.id}/live/").open() as answer:
            heard = events(answer)
            assert next(heard)["event"] == "change"
            succeed(made)
            assert "end" in [each["event"] for each in heard]
    finally:
        servers.start_valkey()


def test_a_signed_out_client_and_a_missing_run_are_refused(client: Client, operator: Client) -> None:
    assert operator.get("/runs/r_nothing/live/").status_code == 404
    assert operator.get("/api/v1/runs/r_nothing/stream").status_code == 404
    assert operator.get("/api/v1/runs/r_nothing/stream?after=x").status_code == 422
    client.logout()
    assert client.get("/runs/r_nothing/live/").status_code == 302
