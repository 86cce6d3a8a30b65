"""Forks: they begin in the middle, take effects from the record, and change nothing of the run they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from tests.db.engine.test_agents import TWO_PAGES, agent
from tests.engine import OPERATOR, apply, check_journal, deploy, drain, output, run, start, states
from tests.witness import Witness
from workflows import approvals, payloads, recovery, remembering
from workflows.engine import bundle
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.models import Run, StepRun
from workflows.replay import forking, verify
from workflows.replay.overriding import Overrides

TOOLS = """
kind: Tool
name: pay
input: {type: object}
http: {method: POST, url: "URL", body: {of: "{{ of }}"}}
effect: once
timeout: 5s
"""
OTHERS = """
kind: Provider
name: fake
api: scripted
models: [{name: m, context_tokens: 1000, price: {input: 1, output: 2}}, {name: other, context_tokens: 1000}]
rules:
  - {match: "loud", reply: "LOUD"}
  - {match: "you are m", reply: "plain"}
  - {reply: "other"}
---
{kind: Route, name: chat, targets: [fake/m]}
---
kind: Prompt
name: greet
variables: {of: {type: string}}
messages: [{role: user, content: "you are m: {{ of }}"}]
"""
FLOW = """
name: flow
input: {type: object, required: [of]}
session: "{{ input.of }}"
steps:
  - {id: a, set: {of: "{{ input.of }}"}}
  - {id: note, needs: [a], memory: {write: {scope: workflow, key: notes, value: "{{ steps.a.output.of }}"}}}
  - {id: greet, needs: [note], prompt: greet, with: {of: "{{ steps.a.output.of }}"}, route: chat}
  - {id: paid, needs: [greet], tool: pay, with: {of: "{{ steps.greet.output.text }}"}}
  - {id: sure, needs: [paid], approval: {title: "Sure?"}}
  - {id: read, needs: [sure], memory: {read: {scope: workflow, key: notes}}}
output: "{{ [steps.greet.output.text, steps.paid.output, steps.sure.output.approved, steps.read.output.value] }}"
"""


@pytest.fixture
def witness(settings: Settings) -> Iterator[Witness]:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    with Witness() as found:
        yield found


@pytest.fixture
def done(witness: Witness) -> Run:
    """A run that paid once, was approved, and remembered something."""
    name = deploy(FLOW, tools=TOOLS.replace("URL", witness.url("/pay")), others=OTHERS)
    begun = run(name, of="ann")
    approval = begun.approvals.get()
    approvals.decide(approval.pk, approved=True, actor=OPERATOR, groups=None)
    drain()
    assert output(begun) == ["plain", {"ok": True}, True, "ann"]
    return begun


def fork(of: Run, from_step: str | None = None, *, effects: Any = "stub", **overrides: Any) -> Run:
    ask = forking.Ask(from_step=from_step, overrides=Overrides(**overrides), effects=effects)
    made = forking.fork(of.pk, ask, actor=OPERATOR)
    drain()
    made.refresh_from_db()
    check_journal(made)
    return made


@pytest.mark.parametrize("step", [None, "a", "note", "greet", "paid", "sure", "read"])
def test_a_fork_without_overrides_equals_its_parent(done: Run, witness: Witness, step: str | None) -> None:
    made = fork(done, step)
    assert (made.state, output(made)) == ("succeeded", output(done))
    assert states(made) == states(done)
    assert len(witness.calls) == 1, "the payment comes from the record"
    assert (made.forked_from_id, made.trigger) == (done.pk, "fork")


def test_what_came_before_the_step_is_not_done_again(done: Run) -> None:
    made = fork(done, "paid")
    assert made.calls.count() == 0
    assert made.journal.filter(type="attempt.started").count() == 3
    assert fork(done, "greet").calls.count() == 1


def test_another_prompt_changes_what_follows_and_the_stub_says_so(done: Run, witness: Witness) -> None:
    made = fork(
        done, "greet", prompts={"greet": {"messages": [{"role": "user", "content": "loud {{ of }}"}]}}
    )
    assert output(made)[0] == "LOUD"
    stubbed = made.journal.get(step="paid", type="step.succeeded").data["stubbed"]
    assert stubbed == {"run": done.pk, "epoch": 1, "exact": False}
    assert len(witness.calls) == 1


def test_a_saved_version_another_model_and_a_patched_input(done: Run) -> None:
    apply(OTHERS.replace("you are m: {{ of }}", "loud: {{ of }}"))
    assert output(fork(done, "greet", prompts={"greet": 2}))[0] == "LOUD"
    assert output(fork(done, "greet", prompts={"greet": 1}))[0] == "plain"
    other = fork(
        done,
        "greet",
        models={"chat": "fake/other"},
        prompts={"greet": {"messages": [{"role": "user", "content": "x"}]}},
    )
    assert output(other)[0] == "other"
    assert [call.model_requested for call in other.calls.all()] == ["other"]
    patched = fork(done, input={"of": "bob"})
    assert output(patched)[3] == "bob"
    assert payloads.load_one(patched.input_hash) == {"of": "bob"}


def test_the_params_of_a_step_give_way_to_those_of_the_fork_and_replay() -> None:
    bundle.forget_providers()
    prompts = OTHERS.replace("messages:", "params: {temperature: 1, stop: [x]}\nmessages:")
    body = "{id: greet, prompt: greet, with: {of: a}, route: chat, params: {temperature: 0.5, seed: 7}}"
    begun = run(deploy(f"name: w\nsteps:\n  - {body}", others=prompts))
    made = fork(begun, params={"greet": {"temperature": 0}})
    assert _params(begun) == {"temperature": 0.5, "seed": 7, "stop": ["x"]}
    assert _params(made) == {"temperature": 0, "seed": 7, "stop": ["x"]}
    assert made.fork is not None
    assert made.fork["overrides"] == {"params": {"greet": {"temperature": 0}}}
    assert verify.replay(made.pk).verdict == "identical"
    again = fork(made, params={"greet": {"seed": 8}})
    assert _params(again) == {"temperature": 0, "seed": 8, "stop": ["x"]}


def _params(of: Run) -> Any:
    return payloads.load_one(of.steps.get(path="greet").input_hash)["params"]


def test_another_version_of_a_route_a_part_of_one_and_a_model_on_top(done: Run) -> None:
    apply("{kind: Route, name: chat, targets: [fake/other], deadline: 7s}")
    for routes in ({"chat": 2}, {"chat": {"targets": ["fake/other"]}}):
        made = fork(done, "greet", routes=routes)
        assert [call.model_requested for call in made.calls.all()] == ["other"]
    made = fork(done, "greet", routes={"chat": 2}, models={"chat": "fake/m"})
    assert [call.model_requested for call in made.calls.all()] == ["m"]
    route = bundle.load(made.release_id).routes["chat"]
    assert (route.deadline_s, [str(each) for each in route.targets]) == (7.0, ["fake/m"])


def test_memory_as_it_is_now_is_what_a_fork_reads_where_that_is_asked_for() -> None:
    place = remembering.Place(environment="production", scope="global", key="house")
    by = remembering.Writer(actor="user:olga")
    steps = """
      - {id: look, memory: {read: {scope: global, key: house}}}
      - {id: note, needs: [look], memory: {append: {scope: global, key: house, value: mine}}}
      - {id: again, needs: [note], memory: {read: {scope: global, key: house}}}"""
    name = deploy(
        f'name: w\nsteps: {steps}\noutput: "{{{{ [steps.look.output, steps.again.output.value] }}}}"'
    )
    remembering.change(place, "write", ["then"], by=by, expected=None)
    begun = run(name)
    remembering.change(place, "write", ["now"], by=by, expected=None)
    then, now = {"value": ["then"], "version": 1}, {"value": ["now"], "version": 3}
    assert output(fork(begun)) == [then, ["then", "mine"]]
    assert output(fork(begun, memory="live")) == [now, ["now", "mine"]]
    assert output(fork(begun, "note", memory="live")) == [then, ["now", "mine"]], (
        "a step that was kept stays as it was"
    )
    assert remembering.read(place).value == ["now"], "what forks write, only they see"


def test_a_step_that_never_ran_is_no_beginning() -> None:
    steps = "[{id: a, set: {v: '{{ 1 / input.n }}'}}, {id: b, needs: [a], set: {v: 1}}]"
    failed = run(deploy(f"name: w\ninput: {{type: object}}\nsteps: {steps}"), n=0)
    assert failed.state == "failed"
    with pytest.raises(Conflict, match="Step b never ran"):
        fork(failed, "b")
    assert Run.objects.count() == 1


def test_an_effect_is_live_only_by_name(done: Run, witness: Witness) -> None:
    fork(done, "paid", effects={"pay": "live"})
    assert len({call.key for call in witness.calls}) == len(witness.calls) == 2
    with pytest.raises(Invalid, match="the release has the tools: pay"):
        fork(done, "paid", effects={"play": "live"})


def test_what_a_fork_remembers_is_its_own(done: Run) -> None:
    place = remembering.Place(environment="production", scope="workflow:flow", key="notes")
    by = remembering.Writer(actor="user:olga")
    remembering.change(place, "write", "later", by=by, expected=None)
    assert output(fork(done, "read"))[3] == "ann", "as the other run wrote it"
    assert output(fork(done, "note", input={"of": "eve"}))[3] == "ann", (
        "the note is of step a, which was kept"
    )
    assert output(fork(done, input={"of": "eve"}))[3] == "eve"
    assert remembering.read(place).value == "later"


def test_what_is_not_recorded_waits_for_a_person(done: Run, witness: Witness) -> None:
    more = FLOW.replace("output:", "  - {id: twice, needs: [read], tool: pay, with: {of: x}}\noutput:")
    deploy(more)
    made = fork(done, "read", release=2)
    assert (states(made)["twice"], made.state) == ("unknown", "waiting")
    recovery.resolve(made.pk, "twice", action="supply", output={}, actor=OPERATOR, reason="as if")
    made.refresh_from_db()
    assert made.state == "succeeded"
    assert len(witness.calls) == 1


def test_an_agent_is_forked_in_any_turn() -> None:
    whole = run(agent(TWO_PAGES), q="where?")
    made = fork(whole, "research/turn[2]")
    assert (output(made), made.calls.count()) == (output(whole), 1)
    again = fork(whole, "research/turn[0]")
    assert (output(again), again.calls.count()) == (output(whole), 3)
    assert again.children.count() == 3, "a tool that is a workflow and only reads runs for real, as a fork"


def test_a_fork_of_a_fork(done: Run) -> None:
    made = fork(fork(done, "greet"), "sure")
    assert output(made) == output(done)


@pytest.mark.parametrize(
    ("step", "overrides", "error", "says"),
    [
        ("nothing", {}, UnknownObject, "has no step nothing"),
        ("a", {"prompts": {"nobody": 1}}, UnknownObject, "uses no Prompt nobody; it uses: greet"),
        ("a", {"prompts": {"greet": 9}}, UnknownObject, "greet has no version 9"),
        ("a", {"prompts": {"greet": {"variables": {"other": {}}}}}, Invalid, "do not fit the workflow"),
        ("a", {"models": {"chat": "fake/none"}}, Invalid, "do not fit the workflow"),
        ("a", {"input": {"of": None}}, Invalid, "does not fit the input schema"),
        ("a", {"snapshots": {"books": 1}}, Invalid, "searches no corpus books"),
        ("a", {"params": {"nobody": {"temperature": 0}}}, UnknownObject, "has no step nobody"),
        ("a", {"params": {"paid": {"temperature": 0}}}, Invalid, "Step paid has no params of its own"),
        ("a", {"params": {"greet": {"temperature": "{{ steps.none.output }}"}}}, Invalid, "do not fit"),
        ("a", {"routes": {"chat": 9}}, UnknownObject, "chat has no version 9"),
        ("a", {"routes": {"chat": {"targets": ["fake/none"]}}}, Invalid, "do not fit the workflow"),
        ("a", {"release": 9}, UnknownObject, "has no release 9"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    done: Run, step: str, overrides: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        fork(done, step, **overrides)
    assert (Run.objects.count(), StepRun.objects.filter(run=done, superseded=True).count()) == (1, 0)


def test_only_what_has_ended_is_forked() -> None:
    going = start(deploy("name: w\nsteps: [{id: a, wait: {signal: s}}]"))
    with pytest.raises(Conflict, match="once it has ended"):
        fork(going)
