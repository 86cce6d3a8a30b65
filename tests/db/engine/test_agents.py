"""Agents: turns, tools, hand-overs, limits, and what a crash costs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine import (
    OPERATOR,
    apply,
    check_journal,
    deploy,
    drain,
    expire,
    output,
    run,
    start,
    states,
)
from workflows import database, payloads, recovery
from workflows.engine import bundle, commit, execute
from workflows.engine.leases import Process
from workflows.engine.views import Known
from workflows.models import Call, Payload, Run

PROVIDER = """
kind: Provider
name: fake
api: scripted
models: [{name: m, context_tokens: 100000, price: {input: 1000, output: 2000}}]
rules:
RULES
"""
OTHERS = """
kind: Route
name: chat
targets: [fake/m]
---
kind: Prompt
name: researcher
variables: {question: {type: string}}
messages:
  - {role: system, content: "You find things out."}
  - {role: user, content: "{{ question }}"}
---
kind: Prompt
name: writer
messages: [{role: system, content: "You write."}]
---
kind: Tool
name: find
description: Finds a page.
input: {type: object, required: [page], properties: {page: {type: integer}}, additionalProperties: false}
workflow: library
effect: read
---
kind: Workflow
name: library
input: {type: object}
steps:
  - {id: look, set: {text: "page {{ input.page }} of {{ 6 / input.page }}"}}
output: "{{ steps.look.output }}"
"""
AGENT = """
name: asking
steps:
  - id: research
    agent: researcher
    route: chat
    with: {question: "{{ input.q }}"}
    tools: [find]
    EXTRA
  - {id: after, set: {answer: "{{ steps.research.output }}"}}
output: "{{ steps.after.output.answer }}"
"""


def agent(rules: str, *, extra: str = "note: x") -> str:
    """Deploy an agent whose model follows rules over the last message."""
    apply(PROVIDER.replace("RULES", rules))
    apply(OTHERS)
    bundle.forget_providers()
    return deploy(AGENT.replace("EXTRA", extra))


TWO_PAGES = """
  - {match: "page 1 of", tool_calls: [{name: find, arguments: {page: 2}}, {name: find, arguments: {page: 3}}]}
  - {match: "page 3 of", reply: "found"}
  - {match: "where", tool_calls: [{name: find, arguments: {page: 1}}]}
"""


def test_an_agent_calls_tools_until_it_answers() -> None:
    ended = run(agent(TWO_PAGES), q="where?")
    assert output(ended) == {"text": "found"}
    assert [path for path in states(ended) if path != "after"] == [
        "research",
        "research/turn[0]",
        "research/turn[0]/tool[0]",
        "research/turn[1]",
        "research/turn[1]/tool[0]",
        "research/turn[1]/tool[1]",
        "research/turn[2]",
    ]
    assert sent(ended)[-1][-2:] == [
        {"role": "tool", "content": '{"text": "page 2 of 3.0"}'},
        {"role": "tool", "content": '{"text": "page 3 of 2.0"}'},
    ]
    assert ended.children.count() == 3
    check_journal(ended)


def sent(of: Run) -> list[list[dict[str, Any]]]:
    """Return the messages of each call, role and content only."""
    calls = Call.objects.filter(run=of).order_by("id")
    requests = [payloads.load_one(call.request_hash) for call in calls]
    return [[{"role": m["role"], "content": m["content"]} for m in r["body"]["messages"]] for r in requests]


def test_a_worker_that_dies_in_any_turn_or_call_repeats_nothing_that_was_done() -> None:
    undisturbed = run(agent(TWO_PAGES), q="where?")
    calls = undisturbed.calls.count()
    disturbed = start("asking", q="where?")
    lost = 0
    while drain_one():
        if (taken := maybe_claim()) is not None:
            lost += taken == "turn"
            expire()
    disturbed.refresh_from_db()
    assert (disturbed.state, output(disturbed)) == ("succeeded", output(undisturbed))
    assert disturbed.calls.count() == calls
    assert lost > 0
    check_journal(disturbed)


def drain_one() -> bool:
    """Work on one row only; say whether there was one."""
    here = Process()
    taken = execute._claim(here)
    if taken is None:
        return database.fetch_all("SELECT 1 FROM workflows_steprun WHERE state = 'ready' LIMIT 1", []) != []
    execute._advance(taken, here, Known(), go_on=lambda: False)
    return True


def maybe_claim() -> str | None:
    """Be the worker that takes the next row and dies; return the kind of what it took."""
    taken = commit.claim(worker="dies", lease_s=30, idle=True)
    return None if taken is None else taken.kind


def test_calls_that_cannot_be_made_are_told_to_the_model_and_bounded() -> None:
    wrong = """
  - {match: "do not fit", tool_calls: [{name: find, arguments: {page: 1}}]}
  - {match: "page 1 of", reply: "found"}
  - {match: "where", tool_calls: [{name: find, arguments: {sheet: 1}}]}
"""
    assert output(run(agent(wrong), q="where?")) == {"text": "found"}
    never = '\n  - {match: ".", tool_calls: [{name: findd, arguments: {}}]}'
    ended = run(agent(never), q="where?")
    assert (ended.error or {})["class"] == "invalid_tool_calls"
    assert "There is no tool 'findd'; there are: find" in (ended.error or {})["message"]
    assert ended.calls.count() == 3


def test_a_tool_that_fails_is_told_to_the_model_which_goes_on() -> None:
    failing = """
  - {match: "division by zero", reply: "no such page"}
  - {match: "where", tool_calls: [{name: find, arguments: {page: 0}}]}
"""
    ended = run(agent(failing), q="where?")
    assert output(ended) == {"text": "no such page"}
    assert states(ended)["research/turn[0]/tool[0]"] == "failed"


def test_an_agent_that_loops_ends_at_its_turns_and_at_its_cost() -> None:
    looping = '\n  - {match: ".", tool_calls: [{name: find, arguments: {page: 1}}]}'
    ended = run(agent(looping, extra="max_turns: 4"), q="where?")
    assert ((ended.error or {})["class"], ended.calls.count()) == ("max_turns", 4)
    ended = run(agent(looping, extra="max_cost: 0.02"), q="where?")
    assert (ended.error or {})["class"] == "budget_exceeded"
    check_journal(ended)


def test_a_failed_agent_can_be_absorbed_and_retried_from_where_it_failed() -> None:
    rules = """
  - {match: "page 1 of", fault: {status: 400}}
  - {match: "where", tool_calls: [{name: find, arguments: {page: 1}}]}
"""
    assert output(run(agent(rules, extra="on_error: continue"), q="where?")) is None
    ended = run(agent(rules), q="where?")
    assert states(ended)["research/turn[1]"] == "failed"
    apply(PROVIDER.replace("RULES", '\n  - {match: "page 1 of", reply: "found"}'))
    bundle.forget_providers()
    before = ended.calls.count()
    recovery.retry(ended.pk, actor=OPERATOR)
    drain()
    assert output(ended) == {"text": "found"}
    assert ended.calls.count() == before + 1
    check_journal(ended)


def test_an_answer_that_does_not_fit_the_schema_is_asked_for_again() -> None:
    schema = "output: {type: object, required: [n], properties: {n: {type: integer}}}"
    repaired = """
  - {match: "schema|JSON", reply: '{"n": 3}'}
  - {match: "where", reply: "three"}
"""
    ended = run(agent(repaired, extra=schema), q="where?")
    assert output(ended) == {"n": 3}
    ended = run(agent('\n  - {match: ".", reply: "three"}', extra=schema), q="where?")
    assert (ended.error or {})["class"] == "schema_invalid"


def test_an_agent_hands_over_to_another_who_goes_on_with_its_own_prompt() -> None:
    rules = """
  - {match: "handed_to", reply: "written"}
  - {match: "where", tool_calls: [{name: transfer_to_writer, arguments: {reason: "it is about words"}}]}
"""
    ended = run(agent(rules, extra="agents: [writer]"), q="where?")
    assert output(ended) == {"text": "written"}
    first, second = sent(ended)
    assert first[0]["content"] == "You find things out."
    assert second[0]["content"] == "You write."


def test_agents_run_inside_maps() -> None:
    apply(PROVIDER.replace("RULES", TWO_PAGES))
    apply(OTHERS)
    name = deploy("""
name: many
steps:
  - id: each
    map:
      over: input.qs
      as: q
      max_parallel: 2
      steps: [{id: research, agent: researcher, route: chat, with: {question: "{{ q }}"}, tools: [find]}]
output: "{{ steps.each.output }}"
""")
    ended = run(name, qs=["where?", "where then?", "where now?"])
    assert output(ended) == [{"text": "found"}] * 3
    check_journal(ended)


def test_fifty_turns_do_not_store_fifty_histories() -> None:
    rules = "".join(
        f'\n  - {{match: "page {n} of", tool_calls: [{{name: find, arguments: {{page: {n + 1}}}}}]}}'
        for n in range(1, 40)
    )
    long = "where? " + "x" * 20_000
    name = agent(
        rules + '\n  - {match: "where", tool_calls: [{name: find, arguments: {page: 1}}]}',
        extra="max_turns: 60",
    )
    ended = run(name, q=long)
    assert ended.calls.count() == 41
    requests = Payload.objects.filter(hash__in=ended.calls.values("request_hash"))
    assert sum(len(bytes(each.body)) for each in requests[3:]) < 41 * 6_000
    assert sum(each.size for each in requests) > 41 * 20_000


@pytest.mark.parametrize("text", ["max_turns: 0", "max_cost: -1", "tools: find"])
def test_an_agent_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(AssertionError, match=r"steps\[0\]"):
        agent(TWO_PAGES, extra=text)
