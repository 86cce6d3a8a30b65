"""Where a rollout goes next, for every plan, moment and measurement."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workflows import states
from workflows.releases import machine
from workflows.releases.judging import Judged, Verdict
from workflows.releases.machine import Seen, Standing
from workflows.spec import rollouts as spec
from workflows.spec.rollouts import Plan

START = datetime(2030, 1, 1, tzinfo=UTC)
BEGUN = Standing(
    state="running", step=machine.BEFORE, step_at=START, weight=0.0, weight_at=START, due_at=None
)


def plan(*steps: Any, **analysis: Any) -> Plan:
    metrics = [{"name": "failure_rate", "max": 0.1}]
    deadline = {"progress_deadline": analysis.pop("deadline")} if "deadline" in analysis else {}
    return spec.parse({"steps": list(steps), "analyses": {"a": {"metrics": metrics, **analysis}}, **deadline})


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def seen(verdict: Verdict) -> Seen:
    return Seen(judged=Judged(verdict, ()))


def at_analysis(wanted: Plan) -> Standing:
    begun = machine.enter(wanted, BEGUN, 0, now=START)
    return machine.decide(wanted, begun, now=START, seen=Seen())


MEASURED = plan({"weight": 10}, {"analysis": "a"}, {"weight": 100}, count=3, initial_delay="30s")


def test_the_first_measurement_waits_for_the_delay_and_the_interval() -> None:
    at = at_analysis(MEASURED)
    assert (at.step, at.weight, at.due_at) == (1, 10.0, later(90))
    assert machine.decide(MEASURED, at, now=later(89), seen=seen("fail")) == at


def test_it_passes_after_all_measurements_and_not_before() -> None:
    at = at_analysis(MEASURED)
    for number in range(1, 3):
        at = machine.decide(MEASURED, at, now=at.due_at or START, seen=seen("pass"))
        assert (at.step, at.looks) == (1, number)
    at = machine.decide(MEASURED, at, now=at.due_at or START, seen=seen("pass"))
    assert (at.step, at.weight, at.looks) == (2, 100.0, 0)
    assert machine.decide(MEASURED, at, now=at.due_at or START, seen=Seen()).state == "succeeded"


def test_what_is_not_settled_pauses_and_a_failure_rolls_back_at_once() -> None:
    at = at_analysis(MEASURED)
    rolled = machine.decide(MEASURED, at, now=later(90), seen=seen("fail"))
    assert (rolled.state, rolled.weight, rolled.due_at) == ("rolled_back", 0.0, None)
    for _ in range(3):
        at = machine.decide(MEASURED, at, now=at.due_at or START, seen=seen("wait"))
    assert (at.state, at.paused_for, at.weight) == ("paused", machine.INCONCLUSIVE, 10.0)


def test_metrics_that_cannot_be_read_hold_it_until_the_deadline() -> None:
    wanted = plan({"weight": 10}, {"analysis": "a"}, count=3, deadline="10m")
    at = at_analysis(wanted)
    held = machine.decide(wanted, at, now=later(60), seen=Seen(problem="no answer."))
    assert (held.state, held.step, held.looks, held.due_at) == ("running", 1, 0, later(120))
    late = machine.decide(wanted, held, now=later(600), seen=Seen(problem="no answer."))
    assert (late.state, late.paused_for) == ("paused", machine.DEADLINE)


def test_a_pause_without_an_end_waits_for_a_person() -> None:
    wanted = plan({"weight": 10}, {"pause": {}}, {"pause": {"for": "5m"}})
    at = at_analysis(wanted)
    assert (at.state, at.paused_for, at.due_at) == ("paused", machine.GATE, None)
    timed = machine.enter(wanted, at, 2, now=later(10))
    assert (timed.state, timed.due_at) == ("running", later(310))
    assert machine.enter(wanted, timed, 3, now=later(310)).state == "succeeded"


def test_resumed_it_counts_anew_only_where_it_would_end_at_once_again() -> None:
    at = at_analysis(MEASURED)
    for why in (machine.OPERATOR, machine.INCONCLUSIVE, machine.DEADLINE):
        again = machine.resumed(MEASURED, machine.paused(at, why, ""), now=later(500))
        assert (again.state, again.looks, again.step_at) == ("running", 0, later(500))
        assert again.weight_at == START + machine.SETTLING
    for why in machine.COUNTED_ANEW:
        again = machine.resumed(MEASURED, machine.paused(at, why, ""), now=later(500))
        assert again.weight_at == later(500) + machine.SETTLING


def test_what_is_withdrawn_comes_back_to_the_weight_that_it_had_reached() -> None:
    at = machine.withdrawn(at_analysis(MEASURED), "prompt triage@2")
    assert (at.state, at.step, at.weight, at.paused_for) == ("paused", 1, 0.0, machine.QUARANTINED)
    again = machine.resumed(MEASURED, at, now=later(500))
    assert (again.state, again.step, again.weight) == ("running", 1, 10.0)
    assert again.weight_at == later(500) + machine.SETTLING
    assert machine.enter(MEASURED, at, 1, now=later(500)).weight == 10.0


STEPS = st.lists(
    st.sampled_from(["weight", {"pause": {}}, {"pause": {"for": "1m"}}, {"analysis": "a"}]), max_size=6
)
SEEN = st.sampled_from(
    [
        seen("pass"),
        seen("wait"),
        seen("fail"),
        Seen(problem="x"),
        Seen(mismatch="off", judged=Judged("pass", ())),
        Seen(quarantined="prompt"),
    ]
)


@given(STEPS, st.data())
def test_whatever_is_seen_every_move_is_legal_and_the_weight_only_the_plans(
    kinds: list[Any], data: st.DataObject
) -> None:
    weights = [step for step in kinds if step == "weight"]
    rising = iter(sorted({1 + 99 * n // max(1, len(weights)) for n in range(len(weights))}))
    steps: list[Any] = [{"weight": next(rising, 100)} if step == "weight" else step for step in kinds]
    wanted = plan({"weight": 1}, *steps, count=2, deadline="20m")
    at, now = machine.enter(wanted, BEGUN, 0, now=START), START
    for _ in range(30):
        if at.due_at is None:
            break
        now = at.due_at + timedelta(seconds=data.draw(st.integers(0, 600)))
        what = data.draw(SEEN)
        if wanted.steps[at.step].kind != "analysis":
            what = replace(what, judged=None)
        after = machine.decide(wanted, at, now=now, seen=what)
        assert after.state == at.state or states.may(states.ROLLOUT, source=at.state, target=after.state)
        assert after.step >= at.step
        reached = [step.weight for step in wanted.steps[: after.step + 1] if step.kind == "weight"]
        withdrawn = after.paused_for == machine.QUARANTINED
        if after.state in ("running", "paused") and not withdrawn:
            assert after.weight == reached[-1]
        assert (after.weight == 0.0) == (withdrawn or after.state == "rolled_back")
        assert (after.due_at is None) == (after.state != "running")
        at = after
