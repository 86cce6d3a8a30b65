"""RabbitMQ as the broker: the doorbell rings, and losing it costs nothing. The same outcomes as with Valkey."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.engine import check_journal, deploy, output
from tests.rabbitmq import RabbitMq
from tests.workers import ROOT, Workers, database_url, until
from workflows.models import Run

pytestmark = pytest.mark.needs("rabbitmq")
FAST = {"INTERLOCK_LEASE": "2", "INTERLOCK_HEARTBEAT": "0.4"}
WORKFLOW = """
name: bells
steps:
  - {id: a, set: {v: "{{ input.n + 1 }}"}}
  - id: each
    map:
      over: "[1, 2, 3, 4, 5, 6]"
      max_parallel: 3
      steps: [{id: twice, set: {v: "{{ item * steps.a.output.v }}"}}]
output: "{{ steps.each.output | map(attribute='v') | sum }}"
"""


@pytest.fixture(scope="module")
def installed() -> Iterator[RabbitMq]:
    node = RabbitMq()
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture
def node(installed: RabbitMq) -> RabbitMq:
    """The node, up and empty."""
    if installed.process is None:
        installed.start()
    installed.purge()
    return installed


@pytest.fixture
def env(node: RabbitMq) -> dict[str, str]:
    return {**FAST, "BROKER_URL": node.url}


def begin(env: dict[str, str], n: int) -> Run:
    """Start a run from a process of its own, as a web process would."""
    command = [sys.executable, "manage.py", "run", "bells", "--input", json.dumps({"n": n})]
    given = {"DATABASE_URL": database_url(), **env}
    done = subprocess.run(
        command, cwd=ROOT, env=_with(given), capture_output=True, text=True, check=True, timeout=60
    )
    found = next(word for word in done.stdout.split() if word.startswith("r_"))
    return Run.objects.get(pk=found.strip(".,:"))


def _with(given: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **given}


def ended(run: Run, *, within_s: float = 40) -> bool:
    until(lambda: Run.objects.filter(pk=run.pk, ended_at__isnull=False).exists(), within_s=within_s)
    run.refresh_from_db()
    return run.state == "succeeded"


def test_the_bell_is_a_message_that_the_worker_takes(
    node: RabbitMq, worker: Workers, env: dict[str, str]
) -> None:
    deploy(WORKFLOW)
    node.purge()
    run = begin(env, 1)
    assert node.waiting() == 1
    worker.start(env=env)
    assert ended(run)
    assert output(run) == 42
    until(lambda: node.waiting() == 0)
    check_journal(run)


def test_lost_messages_and_a_broker_that_dies_lose_no_run(
    node: RabbitMq, worker: Workers, env: dict[str, str]
) -> None:
    deploy(WORKFLOW)
    lost = begin(env, 2)
    node.purge()
    worker.start(env=env)
    assert ended(lost)
    node.kill()
    without = begin(env, 3)  # nobody can ring, and nothing fails
    node.start()
    assert ended(without)
    after = begin(env, 4)
    assert ended(after)
    assert [output(run) for run in (lost, without, after)] == [63, 84, 105]
    for run in (lost, without, after):
        check_journal(run)


def test_a_worker_killed_with_messages_in_hand_loses_none(
    node: RabbitMq, worker: Workers, env: dict[str, str]
) -> None:
    deploy(WORKFLOW)
    doomed = worker.start(env={**env, "INTERLOCK_FAULTS": "after_claim:kill"})
    run = begin(env, 5)
    doomed.wait_until_dead()
    time.sleep(0.2)
    worker.start(env=env)
    assert ended(run)
    assert output(run) == 126
