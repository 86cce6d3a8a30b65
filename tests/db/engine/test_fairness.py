"""Who goes first: priorities, lanes in turn, places under a key, pauses."""

from __future__ import annotations

import pytest
from django.utils import timezone

from tests.engine import (
    OPERATOR,
    check_journal,
    claim,
    deploy,
    drain,
    expire,
    output,
    run,
    start,
    states,
    wake,
)
from tests.threads import DatabaseThreads
from workflows import database, pauses, recovery, runs
from workflows.engine import commit, execute
from workflows.engine.leases import Process
from workflows.engine.views import Known
from workflows.errors import Conflict
from workflows.models import Pause, Run, StepRun

ONE = """
name: NAME
steps: [{id: a, set: {v: 1}}, {id: b, set: {v: "{{ steps.a.output.v }}"}}]
output: "{{ steps.b.output.v }}"
"""


def test_lanes_are_served_in_turn_so_that_a_flood_delays_nobody() -> None:
    flood, calm = deploy(ONE.replace("NAME", "flood")), deploy(ONE.replace("NAME", "calm"))
    for _ in range(20):
        start(flood)
    start(calm)
    served, after = [], ""
    for _ in range(4):
        taken = commit.claim(worker="test", lease_s=30, idle=True, after=after)
        assert taken is not None
        after = taken.lane
        served.append(taken.workflow)
    assert served[:2] in (["calm", "flood"], ["flood", "calm"])
    assert served[2:] == ["flood", "flood"]


def test_a_high_priority_goes_before_every_lane() -> None:
    name, other = deploy(ONE.replace("NAME", "usual")), deploy(ONE.replace("NAME", "aaa"))
    start(other)
    order = runs.Order(workflow=name, input={}, priority="high")
    urgent = runs.start(order, actor=OPERATOR, trigger="api").run
    assert claim().run == urgent.pk


KEYED = """
name: keyed
concurrency: {key: "{{ input.customer }}", limit: 2}
steps:
  - {id: nap, wait: {signal: go}}
  - {id: done, set: {v: 1}}
"""


def going(name: str) -> list[str]:
    return list(
        Run.objects.filter(workflow=name, ended_at=None, admitted=True)
        .order_by("created_at")
        .values_list("pk", flat=True)
    )


def test_runs_with_the_same_key_wait_for_a_place_in_order() -> None:
    name = deploy(KEYED)
    started = [start(name, customer="c1") for _ in range(5)]
    other = start(name, customer="c2")
    drain()
    assert going(name) == [started[0].pk, started[1].pk, other.pk]
    assert states(started[2]) == {"nap": "pending", "done": "pending"}
    runs.signal(started[1].pk, "go", None, actor=OPERATOR)
    drain()
    assert going(name) == [started[0].pk, started[2].pk, other.pk]
    runs.cancel(started[3].pk, actor=OPERATOR)
    runs.cancel(started[0].pk, actor=OPERATOR)
    drain()
    assert set(going(name)) == {started[2].pk, other.pk, started[4].pk}
    for each in (started[2], started[4]):
        runs.signal(each.pk, "go", None, actor=OPERATOR)
    drain()
    assert going(name) == [other.pk]
    for each in started:
        check_journal(each)


def test_a_retried_run_waits_for_its_place_again() -> None:
    name = deploy(KEYED)
    first, second, third = [start(name, customer="c1") for _ in range(3)]
    drain()
    runs.cancel(first.pk, actor=OPERATOR)
    drain()
    assert going(name) == [second.pk, third.pk]
    recovery.retry(first.pk, actor=OPERATOR)
    drain()
    first.refresh_from_db()
    assert (first.state, first.admitted, states(first)["nap"]) == ("running", False, "pending")
    runs.cancel(second.pk, actor=OPERATOR)
    drain()
    assert set(going(name)) == {first.pk, third.pk}
    assert states(first)["nap"] == "waiting"


def test_places_hold_under_starts_and_ends_from_all_sides() -> None:
    name = deploy(KEYED.replace("{id: nap, wait: {signal: go}}", "{id: nap, set: {v: 1}}"))
    most = []

    def begin(n: int) -> None:
        start(name, customer=f"c{n % 2}")
        most.append(max(taken(f"c{n % 2}"), 0))

    with DatabaseThreads(4) as pool:
        list(pool.map(begin, range(40)))
        list(pool.map(lambda _: drain(), range(3)))
    drain()
    assert max(most) <= 2
    assert Run.objects.filter(workflow=name, state="succeeded").count() == 40


def taken(key: str) -> int:
    return int(database.call("interlock_places_taken", "keyed", "production", key))


SLOW = """
name: slow
steps: [{id: a, set: {v: 1}}, {id: nap, wait: {for: 1h}}, {id: b, set: {v: 2}}]
output: "{{ steps.b.output.v }}"
"""


def test_a_paused_run_starts_nothing_until_it_is_resumed() -> None:
    held = start(deploy(ONE.replace("NAME", "one")))
    runs.pause(held.pk, actor=OPERATOR, reason="look first")
    assert drain() == 0
    assert states(held)["a"] == "pending"
    runs.resume(held.pk, actor=OPERATOR)
    drain()
    assert output(held) == 1
    check_journal(held)


def test_what_ends_while_a_run_is_paused_counts_and_the_rest_waits() -> None:
    held = start(deploy(ONE.replace("NAME", "one")))
    taken = claim()
    runs.pause(held.pk, actor=OPERATOR)
    finish(taken)
    assert states(held) == {"a": "succeeded", "b": "pending"}
    assert drain() == 0
    runs.resume(held.pk, actor=OPERATOR)
    drain()
    assert output(held) == 1
    check_journal(held)


def finish(taken: commit.Claim) -> None:
    """Carry an attempt out that somebody else claimed."""
    execute._advance(taken, Process(), Known(), go_on=lambda: True)


def test_a_run_whose_last_step_ends_while_it_is_paused_ends_when_resumed() -> None:
    held = start(deploy("name: single\nsteps: [{id: a, set: {v: 1}}]\noutput: 7"))
    taken = claim()
    runs.pause(held.pk, actor=OPERATOR)
    finish(taken)
    held.refresh_from_db()
    assert held.state == "paused"
    runs.resume(held.pk, actor=OPERATOR)
    assert output(held) == 7
    check_journal(held)


def test_a_timer_and_a_lost_worker_of_a_paused_run_wait_too() -> None:
    held = run(deploy(SLOW))
    runs.pause(held.pk, actor=OPERATOR)
    wake()
    assert drain() == 0
    runs.resume(held.pk, actor=OPERATOR)
    claim()
    runs.pause(held.pk, actor=OPERATOR)
    expire()
    assert drain() == 0
    runs.resume(held.pk, actor=OPERATOR)
    drain()
    assert output(held) == 2
    check_journal(held)


def test_a_paused_run_can_be_cancelled_and_neither_paused_nor_resumed_twice() -> None:
    held = run(deploy(SLOW))
    with pytest.raises(Conflict, match="only a paused run"):
        runs.resume(held.pk, actor=OPERATOR)
    runs.pause(held.pk, actor=OPERATOR)
    with pytest.raises(Conflict, match="is paused"):
        runs.pause(held.pk, actor=OPERATOR)
    runs.cancel(held.pk, actor=OPERATOR)
    held.refresh_from_db()
    assert held.state == "cancelled"


@pytest.mark.parametrize(
    "scope",
    [
        {"workflow": "one"},
        {"environment": "production"},
        {},
        {"workflow": "one", "environment": "production"},
    ],
)
def test_a_pause_holds_its_scope_up_and_nothing_else(scope: dict[str, str]) -> None:
    one, other = deploy(ONE.replace("NAME", "one")), deploy(ONE.replace("NAME", "other"))
    pause = pauses.add(
        environment=scope.get("environment"), workflow=scope.get("workflow"), actor=OPERATOR, reason="x"
    )
    held, free = start(one), start(other)
    drain()
    free.refresh_from_db()
    assert StepRun.objects.filter(run=held, state="ready").exists()
    assert (free.state == "succeeded") is ("workflow" in scope)
    pauses.end(pause.pk, actor=OPERATOR)
    drain()
    held.refresh_from_db()
    assert held.state == "succeeded"


def test_a_pause_stops_a_chain_between_two_steps() -> None:
    held = start(deploy(ONE.replace("NAME", "one")))
    taken = claim()
    pauses.add(environment=None, workflow=None, actor=OPERATOR, reason="stop everything")
    finish(taken)
    assert states(held) == {"a": "succeeded", "b": "ready"}
    assert drain() == 0
    with pytest.raises(Conflict, match="Everything is paused already"):
        pauses.add(environment=None, workflow=None, actor=OPERATOR, reason="again")
    pauses.end(Pause.objects.get().pk, actor=OPERATOR)
    drain()
    assert output(held) == 1


@pytest.mark.tampers
def test_a_ready_row_whose_run_is_gone_or_ended_holds_nobody_up() -> None:
    name = deploy(ONE.replace("NAME", "one"))
    ended, gone, good = start(name), start(name), start(name)
    Run.objects.filter(pk=ended.pk).update(state="cancelled", ended_at=timezone.now())
    database.fetch_all("DELETE FROM workflows_run WHERE id = $1 RETURNING id", [gone.pk])
    assert claim().run == good.pk
    assert not StepRun.objects.filter(run_id__in=[ended.pk, gone.pk], state="ready").exists()


def test_the_end_of_a_child_run_begins_nothing_in_a_paused_lane() -> None:
    child = deploy(ONE.replace("NAME", "child"))
    outer = start(deploy("name: outer\nsteps: [{id: inner, workflow: child}]\noutput: 1"))
    pauses.add(environment=None, workflow=child, actor=OPERATOR, reason="let it be asked for first")
    drain()
    assert states(outer)["inner"] == "waiting"
    pauses.add(environment=None, workflow="outer", actor=OPERATOR, reason="look at it")
    pauses.end(Pause.objects.get(workflow=child).pk, actor=OPERATOR)
    drain()
    outer.refresh_from_db()
    assert (states(outer)["inner"], outer.ended_at) == ("ready", None)
    pauses.end(Pause.objects.get(workflow="outer").pk, actor=OPERATOR)
    drain()
    assert output(outer) == 1
    check_journal(outer)
