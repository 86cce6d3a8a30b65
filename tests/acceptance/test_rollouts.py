"""By real workers: candidates that are worse are rolled back by themselves, and a good one takes over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests import engine, rolling
from tests.workers import Workers
from workflows import runs
from workflows.actor import Actor
from workflows.models import AuditEntry, ClockLease, Deployment, Rollout, Run, Worker
from workflows.models.rollouts import ROLLOUT_ACTIVE
from workflows.releases import rollouts

CLIENT = Actor(kind="token", name="client")
DOCUMENTS = """
kind: Provider
name: fake
api: scripted
models: [{name: m, context_tokens: 8000, price: {input: 1, output: 2}}]
rules:
  - {match: "^broken [0-9]*[0-2]$", fault: {status: 400}}
  - {match: "^invalid [0-9]*[05]$", reply: "not JSON at all"}
  - {match: "^slow", reply: '{"a": 1}', latency: 500ms}
  - {match: "^dear", reply: '{"a": 1, "why": "it is as it is and it was as it was and so it goes on and on and on"}'}
  - {match: ".", reply: '{"a": 1}', latency: 100ms}
---
kind: Route
name: chat
targets: [fake/m]
retry: {attempts: 1}
---
kind: Workflow
name: answer
input: {type: object, properties: {n: {type: integer}}}
steps: [{id: ask, prompt: ask, route: chat, with: {n: "{{ input.n }}"}}]
output: "{{ steps.ask.output.a }}"
"""
PROMPT = """
kind: Prompt
name: ask
variables: {n: {type: integer}}
messages: [{role: user, content: "%s {{ n }}"}]
output: {type: object, required: [a], properties: {a: {type: integer}}}
"""


def environment(metrics: list[dict[str, Any]], *, count: int = 60, more: int = 0) -> None:
    analysis = {
        "interval": "1s",
        "count": count,
        "minimum_runs": 30,
        "metrics": metrics,
        "inconclusive_limit": more,  # the steps of a killed worker wait for its lease to run out
    }
    steps = [{"weight": 50}, {"analysis": "all"}, {"weight": 100}]
    body = {
        "kind": "Environment",
        "name": "production",
        "rollout": {"steps": steps, "analyses": {"all": analysis}},
    }
    engine.apply(yaml.safe_dump(body))


def begin(prompt: str) -> Rollout:
    """Deploy a release whose prompt begins with `good`, and roll out one with another prompt."""
    engine.apply(*(PROMPT % "good" + "---" + DOCUMENTS).split("\n---"))
    engine.apply(PROMPT % prompt)
    return rolling.deploy(now=rolling.now(), workflow="answer")


def traffic_until(done: Callable[[], bool], *, within_s: float = 90) -> None:
    """Start runs, as many as there is room for, until something has come true."""
    ends, number = time.monotonic() + within_s, 0
    while not done():
        assert time.monotonic() < ends, list(Rollout.objects.values("state", "step", "note", "metrics"))
        if Run.objects.filter(ended_at=None).count() < 30:
            for _ in range(10):
                number += 1
                order = runs.Order(workflow="answer", input={"n": number})
                runs.start(order, actor=CLIENT, trigger="api")
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("prompt", "metric", "told"),
    [
        ("broken", {"name": "failure_rate", "max_increase": 0.05}, "failure_rate"),
        ("invalid", {"name": "valid_output_rate", "min": 0.98}, "valid_output_rate"),
        ("slow", {"name": "latency_p95", "max_ratio": 1.5}, "latency_p95"),
        ("dear", {"name": "cost_per_run", "max_ratio": 1.5}, "cost_per_run"),
    ],
)
def test_a_worse_candidate_is_rolled_back_with_no_hand_on_it(
    worker: Workers, prompt: str, metric: dict[str, Any], told: str
) -> None:
    environment([metric])
    row = begin(prompt)
    worker.start(threads=16)
    traffic_until(lambda: rolling.shown(row)[0] not in ROLLOUT_ACTIVE)
    assert rolling.shown(row) == ("rolled_back", 1, 0.0), row.note
    assert row.note.startswith(f"{told}: ")
    assert "The limit is broken." in row.note
    assert Deployment.objects.get(workflow="answer").stable.number == 1
    stable = Run.objects.filter(rollout=row, arm="stable").exclude(ended_at=None)
    assert not stable.exclude(state="succeeded").exists()
    later = runs.start(runs.Order(workflow="answer", input={"n": 1}), actor=CLIENT, trigger="api").run
    assert (later.arm, later.release.number) == ("", 1)
    [entry] = AuditEntry.objects.filter(action="rollout.roll_back")
    assert entry.actor == "system:interlock"


def test_a_good_candidate_takes_over_though_the_clock_is_killed(worker: Workers) -> None:
    environment(
        [
            {"name": "failure_rate", "max_increase": 0.05},
            {"name": "cost_per_run", "max_ratio": 1.5},
            {"name": "latency_p95", "max_ratio": 4},
        ],
        count=3,
        more=100,
    )
    row = begin("fine")
    workers = [worker.start(threads=8), worker.start(threads=8)]
    traffic_until(lambda: rolling.shown(row)[1] == 1)
    held = Worker.objects.get(pk=ClockLease.objects.get().holder).pid
    next(each for each in workers if each.pid == held).kill()
    traffic_until(lambda: rolling.shown(row)[0] not in ROLLOUT_ACTIVE)
    assert rolling.shown(row) == ("succeeded", 3, 100.0), row.note
    assert Deployment.objects.get(workflow="answer").stable.number == 2
    actions = AuditEntry.objects.filter(object_kind="rollout", object_id=str(row.pk)).order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "rollout.start",
        "rollout.step",
        "rollout.step",
        "rollout.succeed",
    ]
    assert [each.verdict for each in rollouts.get(row.pk).measurements.order_by("pk")][-1] == "pass"
