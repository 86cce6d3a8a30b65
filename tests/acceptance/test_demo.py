"""The first minutes of a new user: `up`, a question, an answer with sources; the same twice; a killed worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.installation import local_models_installed
from tests.installations import OWN, Home, Up
from tests.workers import ROOT, until

pytestmark = [
    pytest.mark.skipif(not local_models_installed(), reason="requirements/local.txt is not installed"),
    pytest.mark.timeout(400),
]
QUESTION = {"question": "How do I make a class iterable?"}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    home = Home(tmp_path_factory.mktemp("demo") / "home")
    # Short leases: a killed worker is noticed in seconds.
    fast = {"INTERLOCK_LEASE": "3", "INTERLOCK_HEARTBEAT": "0.5"}
    running = home.up("--demo", environment=fast).wait_until_up()
    yield running
    running.stop()


def manage(up: Up, *arguments: str) -> str:
    """Run a command against the installation, as a user types it."""
    environment = {name: value for name, value in os.environ.items() if name not in OWN}
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments, "--home", str(up.home)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Api:
    """The REST API with a token from the command line."""

    def __init__(self, up: Up) -> None:
        self.base = f"{str(up.runtime['web_url']).rstrip('/')}/api/v1"
        command = ("token", "create", "--name", "demo-test", "--role", "operator", "--expires", "1d")
        self.token = manage(up, *command).splitlines()[-1]

    def __call__(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        request = urllib.request.Request(  # noqa: S310  our own server on loopback
            self.base + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)


@pytest.fixture(scope="module")
def api(up: Up) -> Api:
    calling = Api(up)
    up.says("The demo is ready", within_s=120)
    return calling


def test_a_question_is_answered_with_its_sources(up: Up, api: Api) -> None:
    printed = manage(up, "run", "docs-assistant", "--input", json.dumps(QUESTION), "--wait")
    answer = json.loads(printed[printed.index("{") :])
    assert len(answer["answer"].split()) > 5
    assert answer["sources"]
    assert answer["kind"] in ("how_to", "concept", "error", "other")


def test_one_key_is_one_run_however_often_it_is_sent(api: Api) -> None:
    order = {"workflow": "docs-assistant", "input": QUESTION}
    first, started = api("/runs", order, **{"Idempotency-Key": "demo-1"})
    again, same = api("/runs?wait=60", order, **{"Idempotency-Key": "demo-1"})
    assert (first, again) == (201, 200)
    assert same["id"] == started["id"]


def test_a_worker_killed_while_the_answer_is_made_costs_no_answer(up: Up, api: Api) -> None:
    _, run = api(
        "/runs", {"workflow": "docs-assistant", "input": {"question": "What is a generator expression?"}}
    )

    def attempts() -> list[dict[str, Any]]:
        steps = api(f"/runs/{run['id']}/steps")[1]["results"]
        return next((list(step["attempts"]) for step in steps if step["path"] == "answer"), [])

    until(lambda: [a["state"] for a in attempts()] == ["running"], within_s=60)
    doomed = int(attempts()[0]["worker"].split(":")[1])
    Path("/proc", str(doomed), "cmdline").read_text()  # it is there
    os.kill(doomed, 9)
    until(lambda: api(f"/runs/{run['id']}")[1]["state"] in ("succeeded", "failed"), within_s=120)
    assert api(f"/runs/{run['id']}")[1]["state"] == "succeeded"
    assert [attempt["state"] for attempt in attempts()] == ["lost", "succeeded"]
    up.says("worker-")  # it was said on the terminal


def test_the_batch_answers_every_question(api: Api) -> None:
    questions = ["What does the with statement do?", "How do I raise an exception?"]
    _, run = api("/runs?wait=60", {"workflow": "docs-batch", "input": {"questions": questions}})
    until(lambda: api(f"/runs/{run['id']}")[1]["state"] == "succeeded", within_s=120)
    output = api(f"/runs/{run['id']}")[1]["output"]
    assert [each["question"] for each in output] == questions
    assert all(each["answer"] for each in output)
