"""Schedules: each fire time starts exactly one run, whoever holds the clock and whatever dies in between."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pytest_django import Settings

from tests import engine
from tests.engine import OPERATOR
from tests.threads import DatabaseThread
from workflows import definitions, firing, schedules
from workflows.errors import Conflict, TooMany
from workflows.models import AuditEntry, DefinitionVersion, Deployment, Event, Fire, Run, Schedule
from workflows.spec import cron
from workflows.spec.documents import SourceText

UTC = UTC
QUICK = """
kind: Workflow
name: digest
input: {type: object, properties: {day: {type: string}}, additionalProperties: false}
steps: [{id: note, set: {day: "{{ input.day }}"}}]
output: {day: "{{ input.day }}"}
"""
START = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)  # a Monday


def nightly(**changes: Any) -> str:
    body = {"kind": "Schedule", "name": "nightly", "workflow": "digest", "cron": "0 6 * * *", **changes}
    return "\n".join(f"{key}: {value!r}" for key, value in body.items()).replace("'", '"')


@pytest.fixture
def scheduled() -> Callable[..., Schedule]:
    """Apply the schedule, as if that had been at START."""

    def make(**changes: Any) -> Schedule:
        engine.apply(QUICK, nightly(**{"input": {"day": "x"}, **changes}))
        return _from(START)

    return make


def _from(moment: datetime, name: str = "nightly") -> Schedule:
    row = schedules.get(name)
    [body] = firing.bodies_of([(name, row.version)]).values()
    row.next_fire_at = cron.after(moment, body["cron"], firing.zone_of(body))
    row.save()
    return row


def outcomes(name: str = "nightly") -> list[tuple[str, str]]:
    found = Fire.objects.filter(schedule=name).order_by("fire_at")
    return [(f"{fire.fire_at:%d %H:%M}", fire.outcome) for fire in found]


def at(hour: int, minute: int = 0, *, day: int = 2) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def test_a_fire_time_starts_one_run_that_says_where_it_came_from(scheduled: Callable[..., Schedule]) -> None:
    scheduled()
    assert firing.tick(at(5, 59)) == 0
    assert firing.tick(at(6, 0)) == 1
    assert firing.tick(at(6, 0)) == 0
    run = Run.objects.get()
    assert (run.trigger, run.created_by, run.tags) == ("schedule", "schedule:nightly", ["schedule:nightly"])
    assert run.title == "nightly · 2026-03-02 06:00"
    assert schedules.get("nightly").next_fire_at == at(6, day=3)
    engine.drain()
    assert engine.output(run) == {"day": "x"}


def test_two_clocks_at_once_start_one_run(scheduled: Callable[..., Schedule]) -> None:
    scheduled()
    gate = threading.Barrier(4)
    wrong: list[BaseException] = []

    def one() -> None:
        try:
            gate.wait(10)
            firing.tick(at(6))
        except BaseException as error:
            wrong.append(error)

    threads = [DatabaseThread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong
    assert Run.objects.count() == 1
    assert outcomes() == [("02 06:00", "started")]


def test_a_crash_between_start_and_bookkeeping_starts_no_second_run(
    scheduled: Callable[..., Schedule],
) -> None:
    scheduled()
    firing.tick(at(6))
    first = Run.objects.get()
    # The run was started, the process died before it wrote that down; and somebody changes the schedule meanwhile.
    Fire.objects.update(outcome="due", run_id="")
    engine.apply(nightly(input={"day": "another"}))
    firing.tick(at(6, 1))
    assert Run.objects.get() == first
    assert Fire.objects.get(fire_at=at(6)).run_id == first.pk


def test_a_crash_after_planning_leaves_the_run_to_the_next_clock(scheduled: Callable[..., Schedule]) -> None:
    firing.plan([scheduled()], now=at(6))
    assert outcomes() == [("02 06:00", "due")]
    assert firing.tick(at(6, 1)) == 1
    assert Run.objects.count() == 1


def test_overlap_skip_says_which_run_was_in_the_way(scheduled: Callable[..., Schedule]) -> None:
    scheduled(cron="*/10 * * * *")
    firing.tick(at(5, 10))
    assert firing.tick(at(5, 20)) == 0
    assert outcomes() == [("02 05:10", "started"), ("02 05:20", "skipped")]
    assert Run.objects.get().pk in Fire.objects.get(outcome="skipped").note
    engine.drain()
    assert firing.tick(at(5, 30)) == 1


def test_overlap_queue_waits_until_the_earlier_run_has_ended(scheduled: Callable[..., Schedule]) -> None:
    scheduled(cron="*/10 * * * *", overlap="queue")
    for minute in (10, 20, 30):
        firing.tick(at(5, minute))
    assert [outcome for _, outcome in outcomes()] == ["started", "due", "due"]
    assert "Waits for run" in Fire.objects.filter(outcome="due")[0].note
    engine.drain()
    firing.tick(at(5, 31))
    assert [outcome for _, outcome in outcomes()] == ["started", "started", "due"]
    engine.drain()
    firing.tick(at(5, 32))
    titles = Run.objects.order_by("created_at").values_list("title", flat=True)
    assert [title[-5:] for title in titles] == ["05:10", "05:20", "05:30"]


def test_schedules_that_wait_do_not_keep_others_from_firing(
    scheduled: Callable[..., Schedule], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firing, "BATCH", 2)
    scheduled(cron="*/10 * * * *", overlap="queue")
    for minute in (10, 20, 30, 40):
        firing.tick(at(5, minute))
    engine.apply(nightly(name="other", cron="50 5 * * *", input={"day": "x"}))
    _from(START, "other")
    assert firing.tick(at(5, 50)) == 1
    assert outcomes("other") == [("02 05:50", "started")]


def test_overlap_queue_is_bounded(
    scheduled: Callable[..., Schedule], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firing, "MOST_WAITING", 1)
    scheduled(cron="*/10 * * * *", overlap="queue")
    for minute in (10, 20, 30):
        firing.tick(at(5, minute))
    assert [outcome for _, outcome in outcomes()] == ["started", "due", "skipped"]


def test_overlap_cancel_running_ends_the_earlier_run_first(scheduled: Callable[..., Schedule]) -> None:
    scheduled(cron="*/10 * * * *", overlap="cancel-running")
    firing.tick(at(5, 10))
    claimed = engine.claim()
    assert firing.tick(at(5, 20)) == 0
    first = Run.objects.get(pk=claimed.run)
    assert first.stopping == "cancelled"
    firing.tick(at(5, 30))
    assert [outcome for _, outcome in outcomes()] == ["started", "skipped", "due"]
    engine.expire()
    engine.drain()
    assert firing.tick(at(5, 31)) == 1
    assert Run.objects.get(pk=claimed.run).state == "cancelled"
    assert Run.objects.filter(ended_at=None).count() == 1


def test_after_an_outage_recent_fire_times_are_caught_up_and_older_ones_missed(
    scheduled: Callable[..., Schedule],
) -> None:
    scheduled(cron="0 * * * *", catch_up="2h", overlap="queue")
    firing.tick(at(11, 30))
    assert outcomes() == [("02 06:00", "missed"), ("02 10:00", "started"), ("02 11:00", "due")]
    missed = Fire.objects.get(outcome="missed")
    assert (missed.count, missed.until) == (4, at(9))
    assert schedules.get("nightly").next_fire_at == at(12)


def test_a_late_clock_is_no_outage(scheduled: Callable[..., Schedule]) -> None:
    scheduled(catch_up="0s")
    assert firing.tick(at(6) + timedelta(seconds=20)) == 1


def test_what_cannot_be_started_says_why_and_the_schedule_goes_on(
    scheduled: Callable[..., Schedule],
) -> None:
    scheduled()
    kept = list(Deployment.objects.filter(workflow="digest").values())
    Deployment.objects.filter(workflow="digest").delete()
    assert firing.tick(at(6)) == 0
    assert "has no release in environment production" in Fire.objects.get(outcome="failed").note
    Deployment.objects.create(**kept[0])
    assert firing.tick(at(6, day=3)) == 1


def test_a_paused_schedule_fires_nothing_and_catches_nothing_up(scheduled: Callable[..., Schedule]) -> None:
    scheduled(catch_up="7d")
    schedules.pause("nightly", actor=OPERATOR, reason="maintenance", now=at(5))
    with pytest.raises(Conflict, match="paused already"):
        schedules.pause("nightly", actor=OPERATOR, reason="", now=at(5))
    assert firing.tick(at(7)) == 0
    resumed = schedules.resume("nightly", actor=OPERATOR, reason="", now=at(7))
    assert resumed.next_fire_at == at(6, day=3)
    assert firing.tick(at(7)) == 0
    with pytest.raises(Conflict, match="not paused"):
        schedules.resume("nightly", actor=OPERATOR, reason="", now=at(7))
    actions = AuditEntry.objects.filter(object_kind="Schedule", object_id="nightly").order_by("id")
    assert list(actions.values_list("action", flat=True)) == ["schedule.pause", "schedule.resume"]


def test_a_person_fires_once_for_one_request(scheduled: Callable[..., Schedule]) -> None:
    scheduled()
    firing.tick(at(6))
    first = schedules.fire_now("nightly", actor=OPERATOR, reason="now", now=at(6, 5), request_key="k")
    again = schedules.fire_now("nightly", actor=OPERATOR, reason="now", now=at(6, 6), request_key="k")
    assert first.run_id == again.run_id
    assert Run.objects.count() == 2  # the overlap rule is the clock's, not a person's
    assert AuditEntry.objects.filter(action="schedule.fire").count() == 1


def test_a_person_is_told_why_nothing_was_started(scheduled: Callable[..., Schedule]) -> None:
    scheduled(environment="production")
    Deployment.objects.all().delete()
    for minute in (0, 1):  # a request that was refused does not use its key up
        with pytest.raises(Conflict, match="has no release"):
            schedules.fire_now("nightly", actor=OPERATOR, reason="", now=at(6, minute), request_key="k")
    assert [outcome for _, outcome in outcomes()] == ["failed", "failed"]


def test_a_fire_time_waits_for_room_but_not_for_ever(
    scheduled: Callable[..., Schedule], settings: Settings
) -> None:
    row = scheduled()
    settings.MAX_OPEN_RUNS_PER_WORKFLOW = 0
    now = datetime.now(UTC)
    for moment in (now.replace(second=0, microsecond=0), now - timedelta(minutes=30)):
        Fire.objects.create(schedule=row.name, version=1, fire_at=moment, outcome="due")
    assert firing.start_due() == 0
    late, fresh = Fire.objects.order_by("fire_at")
    assert (late.outcome, fresh.outcome) == ("failed", "due")
    assert "INTERLOCK_MAX_OPEN_RUNS_PER_WORKFLOW" in fresh.note
    with pytest.raises(TooMany):
        schedules.fire_now("nightly", actor=OPERATOR, reason="", now=now)
    settings.MAX_OPEN_RUNS_PER_WORKFLOW = 10
    assert firing.start_due() == 0
    Fire.objects.filter(pk=fresh.pk).update(not_before=now)
    assert firing.start_due() == 1


def test_a_schedule_that_cannot_be_followed_stops_no_other(scheduled: Callable[..., Schedule]) -> None:
    scheduled()
    engine.apply(nightly(name="lost", input={"day": "x"}))
    _from(START, "lost")
    version = DefinitionVersion.objects.get(definition__kind="Schedule", definition__name="lost")
    version.body = {**version.body, "timezone": "Mars/Olympus"}  # as if the system's zones had changed
    version.save()
    assert firing.tick(at(6)) == 1
    assert (outcomes(), outcomes("lost")) == ([("02 06:00", "started")], [])


def test_webhooks_hear_of_fire_times_without_a_run(scheduled: Callable[..., Schedule]) -> None:
    scheduled(cron="*/10 * * * *")
    engine.apply(
        "{kind: Webhook, name: ops, url: 'https://example.com/', secret: 'secret:x', events: ['schedule.*']}"
    )
    firing.tick(at(5, 10))
    firing.tick(at(5, 20))
    Deployment.objects.filter(workflow="digest").delete()
    engine.drain()
    firing.tick(at(5, 30))
    firing.tick(at(6, 0))
    told = list(Event.objects.order_by("at").values_list("type", "subject"))
    types = [event for event, subject in told if subject == "nightly"]
    assert types == ["schedule.skipped", "schedule.failed", "schedule.missed", "schedule.failed"]
    assert Event.objects.filter(type="schedule.failed").first().data["schedule"]["name"] == "nightly"  # type: ignore[union-attr]


def test_a_changed_schedule_goes_by_its_new_times_and_keeps_its_pause(
    scheduled: Callable[..., Schedule],
) -> None:
    scheduled()
    schedules.pause("nightly", actor=OPERATOR, reason="", now=at(5))
    engine.apply(nightly(cron="0 7 * * *"))
    row = schedules.get("nightly")
    assert row.paused_at is not None
    assert row.next_fire_at.hour == 7
    assert row.version == 2
    before = row.next_fire_at
    engine.apply(nightly(cron="0 7 * * *", input={"day": "y"}))
    assert schedules.get("nightly").next_fire_at == before


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"cron": "0 25 * * *"}, "the field hour, '25', is none of 0 to 23"),
        ({"cron": "nightly"}, "expected five fields"),
        ({"cron": "0 0 31 2 *"}, "a day that never comes"),
        ({"timezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'?"),
        ({"workflow": "digst"}, "there is no Workflow 'digst'; did you mean 'digest'?"),
        ({"input": {"day": 5}}, "(the input of workflow digest)"),
        ({"environment": "moon"}, "there is no environment 'moon'"),
        ({"catch_up": "8d"}, "at most 7d"),
        ({"overlap": "both"}, "overlap"),
    ],
)
def test_what_is_wrong_with_a_schedule_is_told_at_its_place(changes: dict[str, Any], says: str) -> None:
    engine.apply(QUICK)
    applied = definitions.apply([SourceText("s.yaml", nightly(**changes))], actor=OPERATOR)
    assert any(says in str(error) for error in applied.errors), applied.errors
    assert not Schedule.objects.exists()


def test_a_workflow_may_not_leave_its_schedule_with_an_input_that_does_not_fit(
    scheduled: Callable[..., Schedule],
) -> None:
    scheduled()
    stricter = QUICK.replace("properties:", "required: [team], properties:")
    applied = definitions.apply([SourceText("w.yaml", stricter)], actor=OPERATOR)
    assert any("saved Schedule nightly" in str(error) for error in applied.errors)


def test_exported_schedules_apply_unchanged(scheduled: Callable[..., Schedule]) -> None:
    scheduled(timezone="Europe/Berlin", catch_up="1h")
    text = definitions.export(kinds=["Schedule"])
    assert "timezone: Europe/Berlin" in text
    assert [change.action for change in engine.apply(text).plan] == ["unchanged"]


def test_the_engines_clock_fires_by_the_clock_of_the_database(scheduled: Callable[..., Schedule]) -> None:
    row = scheduled()
    moment = datetime.now(UTC).replace(second=0, microsecond=0)
    Schedule.objects.filter(pk=row.pk).update(next_fire_at=moment)
    _tend()
    assert Run.objects.get().idempotency_key == f"schedule:nightly:{moment.isoformat()}"
    _tend()
    schedules.forget_old()
    assert Fire.objects.count() == 1


def _tend() -> None:
    firing.tend()
    for thread in threading.enumerate():
        if thread.name == "schedules":
            thread.join(20)


def test_history_is_forgotten_after_a_while(scheduled: Callable[..., Schedule]) -> None:
    scheduled()
    firing.tick(at(6))
    assert schedules.forget(at(6) + timedelta(days=89)) == 0
    assert schedules.forget(at(6) + timedelta(days=91)) == 1


MOVES = st.lists(
    st.tuples(st.integers(0, 90), st.sampled_from(["tick", "tick", "crash", "plan only", "work"])), max_size=8
)
_day = itertools.count(1)


@examples(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES, overlap=st.sampled_from(["skip", "queue", "cancel-running"]))
def test_any_sequence_of_ticks_starts_each_fire_time_at_most_once(
    moves: list[tuple[int, str]], overlap: str
) -> None:
    """Clocks that go on, stand still and go back; that die after planning, and between start and bookkeeping."""
    base, name = START + timedelta(days=next(_day)), f"any-{overlap}"
    for schedule in Schedule.objects.filter(paused_at=None):
        schedules.pause(schedule.name, actor=OPERATOR, reason="", now=base)
    engine.apply(QUICK, nightly(name=name, cron="*/7 * * * *", overlap=overlap, catch_up="1h"))
    Schedule.objects.filter(pk=name).update(paused_at=None)
    _from(base, name)
    for minutes, move in moves:
        _move(move, name, base + timedelta(minutes=minutes))
    engine.drain()
    made = Run.objects.filter(title__contains=f"{name} · {base:%Y-%m-%d}").values_list("title", flat=True)
    assert sorted(made) == sorted(set(made))
    recorded = Fire.objects.filter(schedule=name, fire_at__gte=base, outcome="started")
    assert recorded.count() == len(set(recorded.values_list("run_id", flat=True)))


def _move(move: str, name: str, now: datetime) -> None:
    if move == "work":
        engine.drain()
    elif move == "plan only":
        for row in Schedule.objects.filter(next_fire_at__lte=now, paused_at=None):
            firing.plan([row], now=now)
    else:
        firing.tick(now)
    if move == "crash":
        last = Fire.objects.filter(schedule=name, outcome="started").order_by("-fire_at").first()
        if last is not None:
            Fire.objects.filter(pk=last.pk).update(outcome="due", run_id="")
