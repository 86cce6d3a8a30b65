"""An agent whose workers die again and again: it ends as an undisturbed one, and pays for nothing twice.

The short form is part of the tests; `AGENT_TURNS=100 AGENT_KILLS=20` is the long one (200 steps).
"""

from __future__ import annotations

import os
import time
from typing import Final

import pytest

from tests.engine import apply, check_journal, output, start
from tests.workers import Workers
from workflows.models import Run, StepRun

TURNS: Final = int(os.environ.get("AGENT_TURNS", "14"))
KILLS: Final = int(os.environ.get("AGENT_KILLS", "2"))
FAST: Final = {
    "INTERLOCK_LEASE": "1.5",
    "INTERLOCK_HEARTBEAT": "0.3",
    "INTERLOCK_TOOL_PYTHON": "tests.chaos.functions:*",
}
HEAD: Final = """
kind: Provider
name: counting
api: scripted
models: [{name: m, context_tokens: 1000000, price: {input: 1, output: 1}}]
rules:
"""
RULE: Final = (
    "  - {match: '\"square\": %d\\}', tool_calls: [{name: square, arguments: {n: %d}}], latency: 40ms}\n"
)
REST: Final = """
kind: Route
name: counting
targets: [counting/m]
---
kind: Prompt
name: counter
messages: [{role: user, content: "count"}]
---
kind: Tool
name: square
input: {type: object, required: [n], properties: {n: {type: integer}}}
python: "tests.chaos.functions:square"
effect: idempotent
---
kind: Workflow
name: counting
steps:
  - {id: count, agent: counter, route: counting, tools: [square], max_turns: 1000}
output: "{{ steps.count.output.text }}"
"""


def deploy_counting() -> None:
    """Deploy an agent that asks for the square of 1, 2, 3 … until it has seen the last."""
    rules = "".join(RULE % (n * n, n + 1) for n in range(1, TURNS))
    first = '  - {match: "count", tool_calls: [{name: square, arguments: {n: 1}}]}\n'
    apply(HEAD + rules + f"  - {{match: '\"square\": {TURNS * TURNS}\\}}', reply: counted}}\n" + first, REST)


def ended(run: Run, *, within_s: float) -> Run:
    until = time.monotonic() + within_s
    while run.ended_at is None:
        assert time.monotonic() < until, f"{run.steps.count()} steps after {within_s} s"
        time.sleep(0.1)
        run.refresh_from_db()
    return run


@pytest.mark.timeout(60 + 8 * TURNS)
def test_an_agent_killed_again_and_again_costs_its_calls_and_those_in_flight(worker: Workers) -> None:
    deploy_counting()
    alive = [worker.start(env=FAST), worker.start(env=FAST)]
    undisturbed = ended(start("counting"), within_s=60 + TURNS)
    assert output(undisturbed) == "counted"
    calls = undisturbed.calls.count()
    assert (calls, undisturbed.steps.count()) == (TURNS + 1, 2 * TURNS + 2)

    disturbed = start("counting")
    for number in range(KILLS):
        done = TURNS * (number + 1) // (KILLS + 1)
        while disturbed.steps.filter(kind="turn", state="succeeded").count() < done:
            time.sleep(0.02)
        holder = (
            StepRun.objects.filter(run=disturbed, state="running")
            .values_list("attempts__worker", flat=True)
            .last()
        )
        victim = next((each for each in alive if f":{each.pid}:" in str(holder)), alive[0])
        victim.kill()
        alive.remove(victim)
        alive.append(worker.start(env=FAST, wait=False))
    ended(disturbed, within_s=120 + 6 * KILLS)
    assert output(disturbed) == "counted"
    in_flight = disturbed.calls.filter(state="sending").count()
    assert disturbed.calls.count() == calls + in_flight
    assert in_flight <= KILLS
    check_journal(disturbed)
