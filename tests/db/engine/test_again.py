"""A run is led on again from any step: what needs it runs in a new epoch, all else stays, no effect happens twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from tests.db.engine.test_agents import TWO_PAGES, agent
from tests.db.engine.test_leases import finish
from tests.engine import (
    OPERATOR,
    apply,
    check_journal,
    claim,
    deploy,
    drain,
    expire,
    output,
    run,
    start,
    states,
)
from tests.witness import Behaviour, Witness
from workflows import database, recovery, runs
from workflows.engine import commit
from workflows.engine.outcomes import Succeeded
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.models import AuditEntry, Run, StepRun
from workflows.replay import forking

PAY = """
kind: Tool
name: pay
input: {type: object}
http: {method: POST, url: "URL", body: {of: "{{ of }}"}}
effect: once
timeout: 5s
"""
CHAIN = """
name: chain
input: {type: object}
steps:
  - {id: a, set: {v: 1}}
  - {id: paid, needs: [a], tool: pay, with: {of: "{{ steps.a.output.v }}"}}
  - {id: side, needs: [a], set: {v: 2}}
  - id: bad
    needs: [paid, side]
    set: {v: "{{ 1 / (steps.a.output.v - 1) }}"}
output: "{{ steps.bad.output.v }}"
"""
FIXED = CHAIN.replace("1 / (steps.a.output.v - 1)", "steps.side.output.v")


@pytest.fixture
def witness(settings: Settings) -> Iterator[Witness]:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    with Witness() as found:
        yield found


def chain(witness: Witness) -> Run:
    broken = run(deploy(CHAIN, tools=PAY.replace("URL", witness.url("/pay"))))
    assert broken.state == "failed"
    return broken


def epochs(of: Run) -> dict[str, int]:
    return dict(StepRun.objects.filter(run=of, superseded=False).values_list("path", "epoch"))


def again(of: Run, **asked: Any) -> Run:
    recovery.retry(of.pk, actor=OPERATOR, reason="because", **asked)
    drain()
    of.refresh_from_db()
    check_journal(of)
    return of


def test_what_needs_the_step_runs_again_and_nothing_else(witness: Witness) -> None:
    broken = again(chain(witness), from_step="paid")
    assert epochs(broken) == {"a": 1, "side": 1, "paid": 2, "bad": 2}
    assert StepRun.objects.filter(run=broken, superseded=True).count() == 2
    assert len(witness.calls) == 1, "the payment of the first epoch counts"
    kept = broken.journal.get(step="paid", epoch=2, type="step.succeeded")
    assert kept.data["kept"] == {"run": broken.pk, "epoch": 1}


def test_a_once_effect_is_repeated_only_where_it_is_named(witness: Witness) -> None:
    broken = chain(witness)
    with pytest.raises(Invalid, match="does not run again"):
        recovery.retry(broken.pk, actor=OPERATOR, from_step="bad", repeat_effects=["paid"])
    again(broken, from_step="a", repeat_effects=["paid"])
    assert len({call.key for call in witness.calls}) == len(witness.calls) == 2
    assert AuditEntry.objects.filter(action="run.retry").get().data == {
        "from_step": "a",
        "repeat_effects": ["paid"],
    }
    again(broken, from_step="a")
    assert len(witness.calls) == 2, "the second payment counts now"


def test_the_preview_says_what_would_happen(witness: Witness) -> None:
    broken = chain(witness)
    found = recovery.preview(broken.pk, from_step="a", repeat_effects=["paid"])
    assert (found.again, found.kept) == (("a", "paid", "side", "bad"), 0)
    assert [(each.path, each.effect, each.happens) for each in found.effects] == [("paid", "once", "new")]
    found = recovery.preview(broken.pk, from_step="paid")
    assert (found.again, found.kept, found.effects[0].happens) == (("paid", "bad"), 2, "kept")
    assert recovery.preview(broken.pk).again == ("bad",)
    assert broken.journal.filter(type="run.retried").count() == 0


def test_a_run_goes_on_with_another_release_where_its_finished_work_fits(witness: Witness) -> None:
    broken = chain(witness)
    more = FIXED.replace("output:", "  - {id: more, needs: [bad], set: {v: 9}}\noutput:")
    deploy(more)
    moved = again(broken, release=2)
    assert (moved.state, output(moved), moved.release.number) == ("succeeded", 2, 2)
    assert epochs(moved) == {"a": 1, "paid": 1, "side": 1, "bad": 2, "more": 2}
    assert len(witness.calls) == 1


def test_a_release_that_does_not_fit_is_refused_and_says_why(witness: Witness) -> None:
    broken = chain(witness)
    other = FIXED.replace("id: side, needs: [a], set: {v: 2}", "id: side, needs: [a], wait: {for: 0s}")
    deploy(other.replace("steps.side.output.v", "3"))
    with pytest.raises(Conflict, match="side is a wait step at the top"):
        recovery.retry(broken.pk, actor=OPERATOR, release=2)
    with pytest.raises(UnknownObject, match="no release 7"):
        recovery.retry(broken.pk, actor=OPERATOR, release=7)
    broken.refresh_from_db()
    assert (broken.state, broken.release.number) == ("failed", 1)


def test_a_run_whose_output_failed_goes_on_with_a_release_that_can_compute_it() -> None:
    one = "name: w\nsteps: [{id: a, set: {v: 0}}]\noutput: '{{ 1 / steps.a.output.v }}'\n"
    broken = run(deploy(one))
    with pytest.raises(Conflict, match="what failed is its output expression"):
        recovery.retry(broken.pk, actor=OPERATOR)
    deploy(one.replace("1 / ", "1 + "))
    assert output(again(broken, release=2)) == 1


MAP = """
name: each
steps:
  - id: items
    map:
      over: "[1, 2, 3]"
      steps:
        - {id: first, set: {v: "{{ item }}"}}
        - {id: then, needs: [first], set: {v: "{{ steps.first.output.v * 2 }}"}}
      output: "{{ steps.then.output.v }}"
  - id: bad
    needs: [items]
    set: {v: "{{ 1 / (steps.items.output | length - 3) }}"}
output: "{{ steps.bad.output.v }}"
"""


def test_inside_a_map_one_item_runs_again_and_the_map_takes_it_in() -> None:
    broken = again(run(deploy(MAP)), from_step="items[1]/first")
    assert {path: epoch for path, epoch in epochs(broken).items() if epoch == 2} == {
        "items": 2,
        "items[1]/first": 2,
        "items[1]/then": 2,
        "bad": 2,
    }
    assert broken.state == "failed"
    whole = again(broken, from_step="items")
    assert set(epochs(whole).values()) == {3}
    assert len(epochs(whole)) == 8


LOOP = """
name: turns
steps:
  - id: around
    loop:
      max_turns: 4
      until: "steps.step.output.n >= 3"
      steps:
        - {id: step, set: {n: "{{ turn + 1 }}", before: "{{ previous }}"}}
  - {id: bad, needs: [around], set: {v: "{{ 1 / (steps.around.output.turns - 3) }}"}}
output: "{{ steps.bad.output.v }}"
"""


def test_inside_a_loop_later_turns_are_laid_out_anew() -> None:
    broken = again(run(deploy(LOOP)), from_step="around[1]/step")
    assert epochs(broken) == {
        "around": 2,
        "around[0]/step": 1,
        "around[1]/step": 2,
        "around[2]/step": 2,
        "bad": 2,
    }


def test_a_turn_of_an_agent_runs_again_and_what_came_before_stays() -> None:
    name = agent(TWO_PAGES)
    whole = run(name, q="where?")
    Run.objects.filter(pk=whole.pk).update(state="succeeded")
    broken = run(deploy(BROKEN_AFTER), q="where?")
    assert broken.state == "failed"
    calls = broken.calls.count()
    again(broken, from_step="research/turn[1]/tool[0]")
    assert broken.calls.count() == calls + 1, "only the last turn is asked again"
    assert {path for path, epoch in epochs(broken).items() if epoch == 2} == {
        "research",
        "research/turn[1]/tool[0]",
        "research/turn[2]",
        "after",
    }
    again(broken, from_step="research/turn[1]")
    assert broken.calls.count() == calls + 3


BROKEN_AFTER = """
name: asking
steps:
  - {id: research, agent: researcher, route: chat, with: {question: "{{ input.q }}"}, tools: [find]}
  - {id: after, needs: [research], set: {answer: "{{ 1 / (steps.research.output.text | length - 5) }}"}}
output: "{{ steps.after.output.answer }}"
"""


def test_a_failed_child_run_is_led_on_itself(witness: Witness) -> None:
    apply(PAY.replace("URL", witness.url("/pay")))
    deploy(
        """
name: inner
steps:
  - {id: paid, tool: pay, with: {of: 1}}
  - {id: bad, needs: [paid], set: {v: "{{ 1 / environment.divisor }}"}}
output: "{{ steps.bad.output.v }}"
"""
    )
    parent = run(
        deploy("name: outer\nsteps: [{id: call, workflow: inner}]\noutput: '{{ steps.call.output }}'")
    )
    assert parent.state == "failed"
    again(parent)
    child = parent.children.get()
    assert (child.state, parent.state, len(witness.calls)) == ("failed", "failed", 1)
    assert child.journal.filter(type="run.retried").count() == 1
    again(parent, from_step="call")
    assert (parent.children.count(), len(witness.calls)) == (2, 1), "a new child run, and no second payment"


INNER = """
name: inner
steps:
  - {id: bad, set: {v: "{{ 1 / 0 }}"}}
  - {id: go, needs: [bad], wait: {signal: go}}
output: "{{ steps.bad.output.v }}"
"""
OUTER = "name: outer\nsteps: [{id: call, workflow: inner}]\noutput: '{{ steps.call.output }}'"


def test_a_child_run_that_was_led_on_by_itself_is_waited_for_and_not_started_twice() -> None:
    deploy(INNER)
    parent = run(deploy(OUTER))
    child = parent.children.get()
    recovery.resolve(child.pk, "bad", action="supply", output={"v": 7}, actor=OPERATOR, reason="by hand")
    drain()
    child.refresh_from_db()
    assert child.state == "waiting"
    again(parent)
    assert (parent.children.count(), states(parent)["call"]) == (1, "waiting")
    runs.signal(child.pk, "go", None, actor=OPERATOR)
    drain()
    assert output(parent) == 7


def test_a_child_run_that_has_succeeded_meanwhile_is_taken_in() -> None:
    deploy(INNER.replace("wait: {signal: go}", "set: {v: 1}"))
    parent = run(deploy(OUTER))
    child = parent.children.get()
    recovery.resolve(child.pk, "bad", action="supply", output={"v": 7}, actor=OPERATOR, reason="by hand")
    drain()
    assert output(again(parent)) == 7
    assert parent.children.count() == 1


def test_a_failed_step_is_supplied_or_skipped_and_the_run_goes_on(witness: Witness) -> None:
    broken = chain(witness)
    recovery.resolve(broken.pk, "bad", action="supply", output={"v": 7}, actor=OPERATOR, reason="by hand")
    broken.refresh_from_db()
    assert (broken.state, output(broken)) == ("succeeded", 7)
    check_journal(broken)
    other = run("chain")
    recovery.resolve(other.pk, "bad", action="skip", actor=OPERATOR, reason="not needed")
    drain()
    other.refresh_from_db()
    assert (states(other)["bad"], other.state, output(other)) == ("skipped", "succeeded", None)
    third = run("chain")
    recovery.resolve(third.pk, "bad", action="retry", actor=OPERATOR, reason="once more")
    drain()
    assert third.journal.filter(type="run.failed").count() == 2


def test_what_is_supplied_has_to_fit_the_schema(witness: Witness) -> None:
    tool = PAY.replace("URL", witness.url("/pay")) + "output: {type: object, required: [receipt]}\n"
    broken = run(
        deploy(
            "name: w\nsteps: [{id: paid, tool: pay, with: {of: 1}}]\noutput: '{{ steps.paid.output }}'",
            tools=tool,
        )
    )
    assert (broken.error or {})["class"] == "effect_happened"
    with pytest.raises(Invalid) as refused:
        recovery.resolve(broken.pk, "paid", action="supply", output={}, actor=OPERATOR, reason="asked them")
    assert refused.value.errors
    assert states(broken) == {"paid": "failed"}
    supplied = {"receipt": "17"}
    recovery.resolve(broken.pk, "paid", action="supply", output=supplied, actor=OPERATOR, reason="asked them")
    assert output(broken) == supplied
    assert len(witness.calls) == 1


@pytest.mark.parametrize("path", ["nothing", "paid/x", "bad[1]"])
def test_a_step_that_is_not_there_is_refused(witness: Witness, path: str) -> None:
    broken = chain(witness)
    with pytest.raises(UnknownObject):
        recovery.retry(broken.pk, actor=OPERATOR, from_step=path)
    assert database.fetch_all("SELECT count(*) FROM workflows_steprun WHERE superseded", [])[0][0] == 0


BESIDE = """
name: beside
steps:
  - {id: a, needs: [], tool: pay, with: {of: 1}}
  - {id: side, needs: [], set: {v: 2}}
  - {id: both, needs: [a, side], set: {v: "{{ steps.side.output.v }}"}}
output: "{{ steps.both.output.v }}"
"""


@pytest.fixture
def half_done(witness: Witness) -> Run:
    """A run whose first step failed, so that the one beside it never began."""
    witness.behave("/pay", Behaviour(status=400), Behaviour())
    broken = run(deploy(BESIDE, tools=PAY.replace("URL", witness.url("/pay"))))
    assert states(broken) == {"a": "failed", "side": "cancelled", "both": "cancelled"}
    return broken


def test_what_runs_again_waits_for_what_never_began_beside_it(half_done: Run) -> None:
    again(half_done, from_step="a")
    assert (half_done.state, output(half_done)) == ("succeeded", 2)
    check_journal(half_done)


def test_a_fork_in_the_middle_waits_for_what_never_began_beside_it(half_done: Run) -> None:
    forked = forking.fork(half_done.pk, forking.Ask(from_step="a", effects="live"), actor=OPERATOR)
    drain()
    forked.refresh_from_db()
    assert (forked.state, output(forked)) == ("succeeded", 2)


def test_a_step_that_never_ran_is_refused() -> None:
    broken = run(
        deploy("name: w\nsteps: [{id: a, set: {v: '{{ 1 / 0 }}'}}, {id: b, needs: [a], set: {v: 1}}]")
    )
    with pytest.raises(Conflict, match="never ran"):
        recovery.retry(broken.pk, actor=OPERATOR, from_step="b")


def test_a_late_reply_to_an_earlier_epoch_leads_to_nothing_in_the_new_one() -> None:
    bad = "{id: bad, needs: [], set: {v: '{{ 1 / 0 }}'}}"
    beside = f"name: w\nsteps: [{{id: a, set: {{v: 1}}}}, {{id: b, set: {{v: 2}}}}, {bad}]"
    broken = start(deploy(beside))
    held = claim()
    commit.sending(held, {"key": "k"})
    expire()
    drain()
    recovery.retry(broken.pk, actor=OPERATOR, from_step="a")
    assert not finish(held, Succeeded(output={"v": 1})).applied
    assert states(broken)["b"] == "pending"
    assert broken.journal.filter(type="attempt.late", step="a").count() == 1
    check_journal(broken)
