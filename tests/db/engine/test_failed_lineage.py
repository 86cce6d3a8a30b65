"""What a step used is recorded when it fails, too: that is where somebody looks for the cause."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from tests.db.engine.test_agents import agent
from tests.db.quarantine.test_quarantine import impose, marked
from tests.engine import apply, deploy, drain, run, wake
from tests.witness import Behaviour, Witness
from workflows.models import Run

TOOL = """
kind: Tool
name: note
input: {{type: object}}
http: {{method: POST, url: "{url}"}}
effect: {effect}
timeout: 2s
"""
CALLING = "name: calling\nsteps: [{id: note, tool: note, with: {}, retry: {attempts: 3, first: 10ms}}]\n"
OTHERS = """
kind: Provider
name: fake
api: scripted
models: [{name: m, context_tokens: 1000}]
rules: [{match: "wrong", reply: "no JSON"}, {match: "bad", fault: {status: 400}}]
---
kind: Route
name: chat
targets: [fake/m]
---
kind: Prompt
name: sort
variables: {of: {type: string}}
messages: [{role: user, content: "{{ of }}"}]
output: {type: object}
"""
SORTING = """
name: sorting
input: {type: object}
steps: [{id: sort, prompt: sort, route: chat, with: {of: "{{ input.of }}"}}]
"""


def used(of: Run) -> list[tuple[str, str]]:
    return list(of.lineage.values_list("kind", "ref"))


@pytest.mark.parametrize("effect", ["idempotent", "once"])
def test_a_call_that_failed_or_whose_outcome_nobody_knows_names_its_tool_once(
    effect: str, settings: Settings
) -> None:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    broken = Behaviour(status=500) if effect == "idempotent" else Behaviour(fault="drop")
    with Witness() as witness:
        witness.behave("/note", broken, broken, broken)
        apply(TOOL.format(url=witness.url("/note"), effect=effect))
        ended = run(deploy(CALLING))
        while ended.steps.filter(state="waiting").exists():
            wake()
            drain()
    assert ended.steps.get().state == ("failed" if effect == "idempotent" else "unknown")
    assert used(ended) == [("tool", "note@1")]


@pytest.mark.parametrize("of", ["wrong", "bad"])
def test_a_prompt_whose_answer_was_wrong_or_never_came_is_named_and_taints(of: str) -> None:
    ended = run(deploy(SORTING, others=OTHERS), of=of)
    assert (ended.state, used(ended)) == ("failed", [("prompt", "sort@1")])
    assert set(marked(impose("prompt", "sort@1"))) == {ended.pk}


def test_a_step_that_could_not_be_rendered_used_nothing() -> None:
    ended = run(deploy(SORTING.replace("input.of", "input.nothing"), others=OTHERS))
    assert (ended.state, used(ended)) == ("failed", [])


def test_a_turn_of_an_agent_that_failed_names_the_prompt_that_spoke() -> None:
    ended = run(agent('\n  - {match: ".", fault: {status: 400}}'), q="where?")
    assert ended.state == "failed"
    assert used(ended) == [("prompt", "researcher@1")]
