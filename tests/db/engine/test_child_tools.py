"""A tool that is a workflow runs out of time: its child run is cancelled, whoever called it."""

from __future__ import annotations

import time

from tests.db.engine.test_agents import PROVIDER
from tests.engine import apply, deploy, drain, run
from workflows.engine import bundle, clock

OTHERS = """
kind: Workflow
name: slow
steps: [{id: nap, wait: {for: 1h}}]
---
kind: Tool
name: slowly
workflow: slow
effect: read
timeout: 100ms
---
{kind: Route, name: chat, targets: [fake/m]}
---
kind: Prompt
name: asker
messages: [{role: user, content: "begin"}]
"""
RULES = """
  - {match: "timeout", reply: "too slow"}
  - {match: "begin", tool_calls: [{name: slowly, arguments: {}}]}
"""


def test_an_agents_call_and_a_tool_step_cancel_the_child_that_takes_too_long() -> None:
    apply(PROVIDER.replace("RULES", RULES), OTHERS)
    bundle.forget_providers()
    asking = run(
        deploy(
            "name: asks\nsteps: [{id: a, agent: asker, route: chat, tools: [slowly]}]\noutput: '{{ steps.a.output }}'"
        )
    )
    calling = run(deploy("name: calls\nsteps: [{id: a, tool: slowly}]"))
    time.sleep(0.12)
    clock.wake()
    drain()
    for each in (asking, calling):
        each.refresh_from_db()
        assert each.children.get().state == "cancelled"
    assert asking.state == "succeeded"
    assert (calling.error or {})["class"] == "timeout"
