"""Cancel, retry, resolve, deadlines, idempotency: what people do to runs."""

from typing import Any

import pytest

from tests.db.engine.test_absorbed import act
from tests.db.engine.test_leases import TWO, finish
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
)
from tests.threads import DatabaseThreads
from workflows import database, recovery, runs
from workflows.engine import clock, commit
from workflows.engine.outcomes import Failed, StepError, Stopped, Succeeded
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.models import AuditEntry, Run, StepRun
from workflows.replay import verify


def order(workflow: str, **given: Any) -> runs.Order:
    return runs.Order(workflow=workflow, input=given)


def test_a_queued_run_is_cancelled_at_once() -> None:
    queued = start(deploy(TWO))
    assert runs.cancel(queued.pk, actor=OPERATOR, reason="wrong input").state == "cancelled"
    assert set(states(queued).values()) == {"cancelled"}
    assert drain() == 0
    entry = AuditEntry.objects.get(object_id=queued.pk)
    assert (entry.action, entry.actor, entry.reason) == ("run.cancel", "olga", "wrong input")
    check_journal(queued)


@pytest.mark.tampers
def test_a_running_attempt_is_let_finish_and_then_the_run_is_cancelled() -> None:
    running = start(deploy(TWO))
    held = claim()
    assert runs.cancel(running.pk, actor=OPERATOR).state == "running"
    assert database.call("interlock_stopping", [running.pk]) == [running.pk]
    assert finish(held, Succeeded(output={"v": 1})).applied
    running.refresh_from_db()
    assert running.state == "cancelled"
    assert states(running) == {"a": "succeeded", "b": "cancelled"}
    check_journal(running)


def test_an_attempt_that_stops_on_request_is_cancelled() -> None:
    running = start(deploy(TWO))
    held = claim()
    runs.cancel(running.pk, actor=OPERATOR)
    finish(held, Stopped())
    assert states(running)["a"] == "cancelled"
    running.refresh_from_db()
    assert running.state == "cancelled"


def test_an_ended_run_cannot_be_cancelled() -> None:
    ended = run(deploy(TWO))
    with pytest.raises(Conflict, match=f"Run {ended.pk} is succeeded; only a run that goes on"):
        runs.cancel(ended.pk, actor=OPERATOR)


def test_a_lost_attempt_of_a_cancelled_run_does_not_come_back() -> None:
    running = start(deploy(TWO))
    claim()
    runs.cancel(running.pk, actor=OPERATOR)
    expire()
    running.refresh_from_db()
    assert running.state == "cancelled"
    assert states(running) == {"a": "cancelled", "b": "cancelled"}


FLAKY = """
name: flaky
steps:
  - {id: a, set: {v: 1}}
  - id: each
    map:
      over: "[1, 2, 3]"
      max_parallel: 1
      steps:
        - {id: work, set: {v: "{{ environment.divisor / environment.divisor + item }}"}}
        - {id: after, set: {v: "{{ steps.work.output.v }}"}}
      output: "{{ steps.after.output.v }}"
  - {id: z, set: {v: "{{ steps.each.output }}"}}
output: "{{ steps.z.output.v }}"
"""


def fixed(of: Run) -> None:
    """Mend what made the run fail: its variables, here."""
    Run.objects.filter(pk=of.pk).update(variables={"divisor": 1})


def failed_run() -> Run:
    name = deploy(FLAKY)
    begun = start(name)
    Run.objects.filter(pk=begun.pk).update(variables={"divisor": 0})
    drain()
    begun.refresh_from_db()
    assert begun.state == "failed"
    return begun


@pytest.mark.tampers
def test_a_retry_goes_on_from_the_failed_step_and_keeps_what_was_done() -> None:
    broken = failed_run()
    before = StepRun.objects.get(run=broken, path="a").attempts_made
    fixed(broken)
    assert recovery.retry(broken.pk, actor=OPERATOR, reason="fixed").state == "running"
    drain()
    assert output(broken) == [2.0, 3.0, 4.0]
    assert StepRun.objects.get(run=broken, path="a").attempts_made == before
    check_journal(broken)


@pytest.mark.tampers
def test_a_retry_that_fails_again_can_be_retried_again() -> None:
    broken = failed_run()
    recovery.retry(broken.pk, actor=OPERATOR)
    drain()
    broken.refresh_from_db()
    assert broken.state == "failed"
    fixed(broken)
    recovery.retry(broken.pk, actor=OPERATOR)
    drain()
    assert output(broken) == [2.0, 3.0, 4.0]
    check_journal(broken)


@pytest.mark.tampers
def test_a_cancelled_run_can_be_led_on() -> None:
    running = start(deploy(TWO))
    finish(claim(), Succeeded(output={"v": 1}))
    runs.cancel(running.pk, actor=OPERATOR)
    recovery.retry(running.pk, actor=OPERATOR)
    drain()
    assert output(running) == 2
    check_journal(running)


CLEANED = """
name: cleaned
steps:
  - {id: a, set: {at: "{{ run.started_at }}"}}
  - {id: b, set: {v: 1}}
output: "{{ steps.a.output.at }}"
finally: [{id: tidy, set: {v: 1}}]
"""


@pytest.mark.tampers
def test_a_run_that_is_led_on_has_begun_though_it_was_cancelled_before() -> None:
    queued = start(deploy(CLEANED))
    runs.cancel(queued.pk, actor=OPERATOR)
    recovery.retry(queued.pk, actor=OPERATOR)
    held = claim()
    assert held.run_started_at is not None
    finish(held, Succeeded(output={"at": held.run_started_at}))
    runs.cancel(queued.pk, actor=OPERATOR)
    drain()
    assert states(queued) == {"a": "succeeded", "b": "cancelled", "tidy": "succeeded"}
    check_journal(queued)


@pytest.mark.parametrize("flow", ["SOLE", "TWO"])
@pytest.mark.parametrize("settled_first", [False, True])
def test_a_cancelled_run_whose_step_is_unknown_can_be_led_on(flow: str, *, settled_first: bool) -> None:
    held = unknown_run(SOLE if flow == "SOLE" else TWO)
    runs.cancel(held.pk, actor=OPERATOR)
    settle = {"action": "supply", "output": {"v": 1}, "actor": OPERATOR, "reason": "looked it up"}
    if settled_first:
        recovery.resolve(held.pk, "a", **settle)  # type: ignore[arg-type]
    held.refresh_from_db()
    assert held.state == "cancelled"
    recovery.retry(held.pk, actor=OPERATOR, reason="it was cancelled by mistake")
    if not settled_first:
        held.refresh_from_db()
        assert (held.state, drain()) == ("waiting", 0)
        recovery.resolve(held.pk, "a", **settle)  # type: ignore[arg-type]
    drain()
    held.refresh_from_db()
    assert held.state == "succeeded"
    check_journal(held)
    assert verify.replay(held.pk).verdict == "identical"


def test_a_run_that_goes_on_cannot_be_retried() -> None:
    queued = start(deploy(TWO))
    with pytest.raises(Conflict, match="is queued; only failed or cancelled runs can be retried"):
        recovery.retry(queued.pk, actor=OPERATOR)


SOLE = "name: sole\nsteps: [{id: a, set: {v: 1}}]\noutput: '{{ steps.a.output.v }}'"


def unknown_run(workflow: str = TWO) -> Run:
    running = start(deploy(workflow))
    commit.sending(claim(), {"key": "k"})
    expire()
    return running


@pytest.mark.parametrize(
    ("action", "given", "ends", "result"),
    [
        ("supply", {"v": 5}, "succeeded", 6),
        ("retry", None, "succeeded", 2),
        ("fail", None, "failed", None),
    ],
)
def test_a_person_settles_an_unknown_effect(action: Any, given: Any, ends: str, result: Any) -> None:
    waiting = unknown_run()
    recovery.resolve(waiting.pk, "a", action=action, output=given, actor=OPERATOR, reason="looked it up")
    drain()
    waiting.refresh_from_db()
    assert (waiting.state, output(waiting)) == (ends, result)
    check_journal(waiting)


def test_a_step_that_is_to_run_again_waits_until_its_paused_run_is_resumed() -> None:
    waiting = unknown_run()
    runs.pause(waiting.pk, actor=OPERATOR)
    recovery.resolve(waiting.pk, "a", action="retry", actor=OPERATOR, reason="it never arrived")
    assert states(waiting)["a"] == "pending"
    runs.resume(waiting.pk, actor=OPERATOR)
    drain()
    assert output(waiting) == 2
    check_journal(waiting)


def test_a_step_does_not_run_again_in_a_run_that_has_no_place() -> None:
    placed = deploy(TWO + "concurrency: {key: one, limit: 1}\n")
    waiting = start(placed)
    commit.sending(claim(), {"key": "k"})
    expire()
    runs.cancel(waiting.pk, actor=OPERATOR)
    other = start(placed)
    recovery.retry(waiting.pk, actor=OPERATOR)
    recovery.resolve(waiting.pk, "a", action="retry", actor=OPERATOR, reason="it never arrived")
    assert states(waiting)["a"] == "pending"
    drain()
    assert (output(other), output(waiting)) == (2, 2)
    check_journal(waiting)


EACH = """
name: each
steps: [{id: m, map: {over: "[1, 2]", max_parallel: 1, steps: [{id: a, set: {v: 1}}]}}, {id: z, set: {v: 2}}]
output: "{{ steps.z.output.v }}"
"""


@pytest.mark.tampers
@pytest.mark.parametrize(("workflow", "path"), [(TWO, "a"), (EACH, "m[0]/a")])
def test_nothing_follows_in_a_run_that_has_no_place(workflow: str, path: str) -> None:
    placed = deploy(workflow + "concurrency: {key: one, limit: 1}\n")
    waiting = start(placed)
    while (held := claim()).path != path:
        finish(held, act(held))
    commit.sending(held, {"key": "k"})
    expire()
    runs.cancel(waiting.pk, actor=OPERATOR)
    other = start(placed)
    recovery.retry(waiting.pk, actor=OPERATOR)
    assert finish(held, Succeeded(output={"v": 1})).applied
    assert "ready" not in states(waiting).values()
    drain()
    assert (output(other), output(waiting)) == (2, 2)
    check_journal(waiting)


@pytest.mark.parametrize("ended", [True, False])
def test_no_step_runs_again_in_a_run_that_stops_or_has_ended(ended: bool) -> None:
    waiting = start(deploy("name: w\nsteps: [{id: a, set: {v: 1}}, {id: b, needs: [], set: {v: 2}}]"))
    commit.sending(claim(), {"key": "k"})
    expire()
    held = claim()
    runs.cancel(waiting.pk, actor=OPERATOR)
    if ended:
        finish(held, Stopped())
    with pytest.raises(Conflict, match="nothing begins in it, and step a neither"):
        recovery.resolve(waiting.pk, "a", action="retry", actor=OPERATOR, reason="it never arrived")
    assert states(waiting)["a"] == "unknown"


def test_only_an_unknown_step_can_be_resolved_and_only_with_a_reason() -> None:
    waiting = unknown_run()
    with pytest.raises(Invalid, match="A reason is needed"):
        recovery.resolve(waiting.pk, "a", action="skip", actor=OPERATOR, reason=" ")
    with pytest.raises(Conflict, match=r"Step b of run .* is pending"):
        recovery.resolve(waiting.pk, "b", action="skip", actor=OPERATOR, reason="x")
    with pytest.raises(UnknownObject, match="has no step nope"):
        recovery.resolve(waiting.pk, "nope", action="skip", actor=OPERATOR, reason="x")


def test_a_run_past_its_deadline_fails() -> None:
    late = runs.start(
        runs.Order(workflow=deploy(TWO), input={}, deadline_s=0.001), actor=OPERATOR, trigger="api"
    ).run
    clock.end_overdue()
    late.refresh_from_db()
    assert (late.state, (late.error or {})["class"]) == ("failed", "deadline")
    check_journal(late)


@pytest.mark.tampers
def test_what_a_dead_worker_left_open_is_closed_by_the_clock() -> None:
    left = start(
        deploy("name: sinks\nsteps: [{id: a, needs: [], set: {v: 1}}, {id: b, needs: [], set: {v: 2}}]")
    )
    for _ in range(2):
        finish(claim(), Succeeded(output={"v": 1}), follow=False)
    left.refresh_from_db()
    assert left.state == "running"
    Run.objects.filter(pk=left.pk).update(created_at="2020-01-01T00:00:00Z")
    clock.close_unclosed()
    left.refresh_from_db()
    assert left.state == "succeeded"


@pytest.mark.tampers
def test_a_run_that_failed_while_it_was_paused_ends_though_its_worker_died_after_the_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = start(deploy(TWO))
    held = claim()
    runs.pause(left.pk, actor=OPERATOR, reason="look at it")
    finish(held, Failed(error=StepError(error_class="broken", message="no")), follow=False)
    monkeypatch.setattr(clock, "RING_AGAIN_S", 0.0)
    clock.close_unclosed()
    left.refresh_from_db()
    assert left.state == "failed"
    check_journal(left)


def test_one_key_is_one_run_from_any_number_of_clients() -> None:
    name = deploy(TWO)

    def client(_: int) -> tuple[str, bool]:
        got = runs.start(order(name, n=1), actor=OPERATOR, trigger="api", idempotency_key="k1")
        return got.run.pk, got.created

    with DatabaseThreads(12) as pool:
        answers = list(pool.map(client, range(24)))
    assert len({run_id for run_id, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1
    assert Run.objects.count() == 1


def test_two_runs_that_draw_one_id_get_two(monkeypatch: pytest.MonkeyPatch) -> None:
    name, drawn = deploy(TWO), iter([7, 7, 8])
    monkeypatch.setattr("time.time_ns", lambda: 1_800_000_000_000_000_000)
    monkeypatch.setattr("secrets.randbits", lambda bits: next(drawn))
    first, second = start(name, n=1), start(name, n=1)
    assert first.pk != second.pk
    assert Run.objects.count() == 2


def test_a_key_with_another_request_is_refused() -> None:
    name = deploy(TWO)
    first = runs.start(order(name, n=1), actor=OPERATOR, trigger="api", idempotency_key="k1").run
    with pytest.raises(Invalid, match=f"started run {first.pk} with another request"):
        runs.start(order(name, n=2), actor=OPERATOR, trigger="api", idempotency_key="k1")


def test_a_refused_request_does_not_use_its_key_up() -> None:
    name = deploy("name: strict\ninput: {type: object, required: [n]}\nsteps: [{id: a, set: {v: 1}}]")
    with pytest.raises(Invalid) as refused:
        runs.start(order(name), actor=OPERATOR, trigger="api", idempotency_key="k1")
    assert refused.value.code == "input_invalid"
    assert runs.start(order(name, n=1), actor=OPERATOR, trigger="api", idempotency_key="k1").created


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (runs.Order(workflow="nope", input={}), "There is no workflow nope"),
        (runs.Order(workflow="two", input={}, environment="moon"), "There is no environment moon"),
        (runs.Order(workflow="two", input={}, release=9), "Workflow two has no release 9"),
        (runs.Order(workflow="a\x00b", input={}), "There is no workflow"),
    ],
)
def test_unknown_names_are_told(wrong: runs.Order, message: str) -> None:
    deploy(TWO)
    with pytest.raises(UnknownObject, match=message):
        runs.start(wrong, actor=OPERATOR, trigger="api")


def test_a_started_run_is_returned_as_it_was_written() -> None:
    name = deploy("name: plain\ndeadline: 1h\nsteps:\n  - {id: a, set: {v: 1}}\n")
    asked = runs.Order(workflow=name, input={"n": 1}, title="t", tags=["x"], session="s")
    returned = runs.start(asked, actor=OPERATOR, trigger="api", idempotency_key="k").run
    written = Run.objects.get(pk=returned.pk)
    fields = [field.attname for field in Run._meta.concrete_fields]
    assert {f: _plain(getattr(returned, f)) for f in fields} == {
        f: _plain(getattr(written, f)) for f in fields
    }
    assert not returned._state.adding


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value
