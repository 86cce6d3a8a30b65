"""Steps that wait: for a time, for signals, for people."""

from __future__ import annotations

from functools import partial

import pytest

from tests.engine import OPERATOR, check_journal, deploy, drain, output, run, start, states, wake
from tests.threads import DatabaseThreads
from workflows import approvals, recovery, runs
from workflows.actor import Actor
from workflows.errors import Conflict, Invalid, Refused
from workflows.models import Approval, Run

SIGNALLED = """
name: signalled
steps:
  - {id: before, set: {x: 1}}
  - {id: paid, wait: {signal: paid, timeout: 1h}}
  - {id: after, set: {seen: "{{ steps.paid.output }}"}}
output: "{{ steps.after.output.seen }}"
"""


def test_a_wait_for_a_time_goes_on_when_it_is_over() -> None:
    waiting = run(
        deploy("name: sleepy\nsteps: [{id: nap, wait: {for: 1h}}]\noutput: '{{ steps.nap.output }}'")
    )
    assert (waiting.state, states(waiting)) == ("waiting", {"nap": "waiting"})
    wake()
    drain()
    assert output(waiting) == {"signal": None, "payload": None}
    check_journal(waiting)


def test_a_wait_until_a_moment_is_computed_and_refuses_what_is_no_time() -> None:
    name = deploy("name: until\nsteps: [{id: nap, wait: {until_time: '{{ input.when }}'}}]")
    waiting = run(name, when="2026-01-01T00:00:00+01:00")
    wake()
    drain()
    waiting.refresh_from_db()
    assert waiting.state == "succeeded"
    failed = run(name, when="tomorrow")
    assert (failed.error or {})["class"] == "input_invalid"


def test_a_signal_leads_the_step_on_that_waits_for_it() -> None:
    waiting = run(deploy(SIGNALLED))
    assert waiting.state == "waiting"
    runs.signal(waiting.pk, "paid", {"sum": 3}, actor=OPERATOR)
    drain()
    assert output(waiting) == {"signal": "paid", "payload": {"sum": 3}}
    check_journal(waiting)


def test_a_signal_that_comes_too_early_is_kept() -> None:
    started = start(deploy(SIGNALLED))
    runs.signal(started.pk, "paid", "early", actor=OPERATOR)
    drain()
    assert output(started) == {"signal": "paid", "payload": "early"}
    check_journal(started)


def test_without_the_signal_the_wait_ends_with_null() -> None:
    waiting = run(deploy(SIGNALLED))
    wake()
    drain()
    assert output(waiting) == {"signal": None, "payload": None}


def test_nobody_waits_for_an_unknown_signal_and_an_ended_run_takes_none() -> None:
    waiting = run(deploy(SIGNALLED))
    with pytest.raises(Conflict, match="it waits for: paid"):
        runs.signal(waiting.pk, "payed", None, actor=OPERATOR)
    runs.cancel(waiting.pk, actor=OPERATOR)
    with pytest.raises(Conflict, match="cancelled"):
        runs.signal(waiting.pk, "paid", None, actor=OPERATOR)


def test_a_signal_that_races_with_the_step_is_never_lost() -> None:
    """Sender and worker meet in every order; each run ends by its signal, none by its time-out."""
    started = [start(deploy(SIGNALLED)) for _ in range(24)]

    def send(n: int) -> int:
        runs.signal(started[n].pk, "paid", n, actor=OPERATOR)
        return n

    with DatabaseThreads(4) as pool:
        list(pool.map(lambda act: act(), [drain, drain, *(partial(send, n) for n in range(24))]))
    drain()
    for n, each in enumerate(started):
        assert output(each) == {"signal": "paid", "payload": n}
        check_journal(each)


ASKING = """
name: asking
steps:
  - id: confirm
    approval:
      title: "Refund {{ input.order }}?"
      details: "**{{ input.sum }} EUR**"
      group: finance
      timeout: 4h
      on_timeout: ON_TIMEOUT
      fields: {required: [sum], properties: {sum: {type: number, maximum: 100}}}
  - {id: pay, when: steps.confirm.output.approved, set: {sum: "{{ steps.confirm.output.fields.sum }}"}}
output: {by: "{{ steps.confirm.output.by }}", pay: "{{ steps.pay.output }}"}
"""


def asking(on_timeout: str = "reject") -> tuple[Run, Approval]:
    waiting = run(deploy(ASKING.replace("ON_TIMEOUT", on_timeout)), order="A-1", sum=40)
    return waiting, approvals.open_ones().get(run=waiting)


def test_an_approval_asks_and_goes_on_with_the_decision() -> None:
    waiting, asked = asking()
    assert (asked.title, asked.details, asked.group) == ("Refund A-1?", "**40 EUR**", "finance")
    assert asked.expires_at is not None
    approvals.decide(asked.pk, approved=True, fields={"sum": 35}, actor=OPERATOR, groups={"finance"})
    drain()
    assert output(waiting) == {"by": str(OPERATOR), "pay": {"sum": 35}}
    check_journal(waiting)


def test_a_rejection_needs_no_form() -> None:
    waiting, asked = asking()
    approvals.decide(asked.pk, approved=False, actor=OPERATOR, groups=None)
    drain()
    assert output(waiting) == {"by": str(OPERATOR), "pay": None}


def test_an_approval_refuses_the_wrong_group_and_a_form_that_does_not_fit() -> None:
    _, asked = asking()
    with pytest.raises(Refused, match="finance"):
        approvals.decide(asked.pk, approved=True, fields={"sum": 1}, actor=OPERATOR, groups={"sales"})
    with pytest.raises(Invalid) as refused:
        approvals.decide(asked.pk, approved=True, fields={"sum": 400}, actor=OPERATOR, groups=None)
    assert refused.value.errors[0][0] == "sum"
    assert approvals.open_ones().count() == 1


@pytest.mark.parametrize(
    ("on_timeout", "state", "pays"),
    [("approve", "succeeded", True), ("reject", "succeeded", False), ("fail", "failed", False)],
)
def test_nobody_decides(on_timeout: str, state: str, pays: bool) -> None:
    workflow = deploy(ASKING.replace("ON_TIMEOUT", on_timeout).replace(".fields.sum }}", ".approved }}"))
    waiting = run(workflow, order="A-1", sum=40)
    wake()
    drain()
    waiting.refresh_from_db()
    assert waiting.state == state
    assert (states(waiting)["pay"] == "succeeded") is pays
    assert Approval.objects.get(run=waiting).outcome == "timed_out"
    if on_timeout == "fail":
        assert (waiting.error or {})["class"] == "approval_timeout"


def test_of_two_decisions_at_once_one_counts_and_the_other_hears_who_was_faster() -> None:
    waiting, asked = asking()
    people = [Actor(kind="user", name=f"person-{n}") for n in range(4)]

    def decide(who: Actor) -> str:
        try:
            approvals.decide(asked.pk, approved=True, fields={"sum": 1}, actor=who, groups=None)
        except Conflict as late:
            return late.message
        return ""

    with DatabaseThreads(4) as pool:
        said = list(pool.map(decide, people))
    winner = people[said.index("")]
    assert said.count("") == 1
    assert all(f"approved by {winner}" in text for text in said if text)
    drain()
    assert output(waiting)["by"] == str(winner)
    check_journal(waiting)


def test_a_cancelled_run_closes_its_approval() -> None:
    waiting, asked = asking()
    runs.cancel(waiting.pk, actor=OPERATOR)
    asked.refresh_from_db()
    assert (asked.outcome, approvals.open_ones().count()) == ("cancelled", 0)
    with pytest.raises(Conflict, match="its run stopped"):
        approvals.decide(asked.pk, approved=True, fields={"sum": 1}, actor=OPERATOR, groups=None)


def test_a_failed_run_with_an_approval_asks_again_when_it_is_retried() -> None:
    waiting, _ = asking("fail")
    wake()
    drain()
    recovery.retry(waiting.pk, actor=OPERATOR)
    drain()
    again = approvals.open_ones().get(run=waiting)
    approvals.decide(again.pk, approved=True, fields={"sum": 9}, actor=OPERATOR, groups=None)
    drain()
    assert output(waiting)["pay"] == {"sum": 9}
