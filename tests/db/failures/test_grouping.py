"""Failed runs come into the groups of their errors: once for each failure, whoever groups, and out of them again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from tests import bulk, engine, factories
from tests.threads import DatabaseThreads
from workflows import recovery
from workflows.actor import Actor
from workflows.bulk import previews
from workflows.errors import Invalid, UnknownObject
from workflows.failures import grouping, groups
from workflows.failures.groups import Change
from workflows.models import AuditEntry, ErrorGroup, ErrorSighting, Run
from workflows.queries import error_groups


def fail(number: int, message: str = "No answer within 30 s", step: str = "ask", **more: object) -> Run:
    error = {"class": "timeout", "message": message, "step": step}
    made = factories.run("failed", number=number, error=error).run
    Run.objects.filter(pk=made.pk).update(**more)
    made.refresh_from_db()
    return made


def test_an_outage_is_one_group_with_its_provider() -> None:
    failed = bulk.outage(3)
    assert grouping.catch_up() == 3
    group = ErrorGroup.objects.get()
    assert (group.workflow, group.step, group.provider, group.seen) == ("asking", "ask", "fake", 3)
    assert group.first_seen is not None
    assert group.first_seen <= (group.last_seen or group.first_seen)
    assert set(group.runs.values_list("pk", flat=True)) == {run.pk for run in failed}
    assert group.newest_run == failed[-1].pk
    assert grouping.catch_up() == 0


def test_a_run_that_is_led_on_leaves_its_group_and_the_failure_stays_counted() -> None:
    [failed] = bulk.outage(1)
    grouping.catch_up()
    bulk.mend()
    recovery.retry(failed.pk, actor=engine.OPERATOR)
    engine.drain()
    failed.refresh_from_db()
    assert (failed.state, failed.error_group_id) == ("succeeded", None)
    [shown] = error_groups.shown(list(error_groups.groups()))
    assert (shown.failed, shown.group.seen, sum(shown.hours)) == (0, 1, 1)


def test_a_run_that_fails_again_is_seen_again() -> None:
    [failed] = bulk.outage(1)
    grouping.catch_up()
    recovery.retry(failed.pk, actor=engine.OPERATOR)
    engine.drain()
    assert grouping.catch_up() == 1
    group = ErrorGroup.objects.get()
    assert (group.seen, group.sightings.count(), group.runs.count()) == (2, 2, 1)


def test_other_errors_are_other_groups() -> None:
    fail(1)
    fail(2, "No answer within 31 s")
    fail(3, "connection refused")
    fail(4, step="score[1]/judge")
    fail(5, step="score[2]/judge")
    grouping.catch_up()
    assert sorted(ErrorGroup.objects.values_list("seen", flat=True)) == [1, 2, 2]


def test_messages_without_end_come_into_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MOST_ALIKE", 3)
    words = ["apple", "pear", "plum", "fig", "grape", "quince"]
    for number, word in enumerate(words):
        fail(number, f"The model said {word}")
        grouping.catch_up()
    assert ErrorGroup.objects.count() == 4
    assert ErrorGroup.objects.get(message=grouping.MANY).seen == 3
    fail(10, "The model said apple")
    grouping.catch_up()
    assert ErrorGroup.objects.get(message="The model said apple").seen == 2


def test_everybody_may_group_at_once() -> None:
    for number in range(60):
        fail(number, f"Order {number} is locked" if number % 2 else "refused")
    with DatabaseThreads(4) as pool:
        counts = list(pool.map(grouping.catch_up, [7] * 40))
    assert sum(counts) == 60
    assert ErrorSighting.objects.count() == 60
    assert sorted(ErrorGroup.objects.values_list("seen", flat=True)) == [30, 30]
    assert not Run.objects.filter(error_group=None).exists()


def test_runs_from_elsewhere_and_runs_without_an_error_do_no_harm() -> None:
    fail(1, trigger="import")
    factories.run("failed", number=2, error=None)
    assert grouping.catch_up() == 1
    group = ErrorGroup.objects.get()
    assert (group.step, group.error_class, group.message) == ("", "", "")


def test_a_group_is_assigned_noted_and_resolved_with_a_trace() -> None:
    fail(1)
    grouping.catch_up()
    pk = ErrorGroup.objects.get().pk
    groups.change(pk, Change(assigned_to="ann", note="the proxy"), actor=engine.OPERATOR)
    groups.change(pk, Change(assigned_to="ann"), actor=engine.OPERATOR)  # nothing new
    done = groups.change(pk, Change(state="resolved"), actor=Actor(kind="user", name="bob"))
    assert (done.assigned_to, done.note, done.state, done.resolved_by) == (
        "ann",
        "the proxy",
        "resolved",
        "bob",
    )
    entries = AuditEntry.objects.filter(object_kind="error_group").order_by("pk")
    assert [entry.data for entry in entries] == [
        {"assigned_to": "ann", "note": "the proxy"},
        {"state": "resolved"},
    ]
    assert list(error_groups.groups()) == []


def test_a_failure_after_it_was_resolved_opens_it_again_and_an_older_one_does_not() -> None:
    first = fail(1)
    grouping.catch_up()
    group = groups.change(ErrorGroup.objects.get().pk, Change(state="resolved"), actor=engine.OPERATOR)
    assert group.resolved_at is not None
    assert first.ended_at is not None
    fail(2, ended_at=group.resolved_at - timedelta(seconds=1))
    grouping.catch_up()
    assert ErrorGroup.objects.get().state == "resolved"
    fail(3, ended_at=group.resolved_at + timedelta(seconds=1))
    grouping.catch_up()
    [shown] = error_groups.shown(list(error_groups.groups()))
    assert (shown.group.state, shown.came_back, shown.failed) == ("open", True, 3)


def test_what_is_not_there_or_makes_no_sense_is_refused() -> None:
    with pytest.raises(UnknownObject, match="There is no error group 7"):
        groups.change(7, Change(note="x"), actor=engine.OPERATOR)
    fail(1)
    grouping.catch_up()
    with pytest.raises(Invalid, match="open or resolved"):
        groups.change(ErrorGroup.objects.get().pk, Change(state="gone"), actor=engine.OPERATOR)


def test_groups_are_listed_in_few_queries_and_paged(django_assert_num_queries: object) -> None:
    for number, word in enumerate(["apple", "pear", "plum"]):
        fail(number, f"no {word}")
    grouping.catch_up()
    first = error_groups.newest(error_groups.groups(), limit=2)
    last = first[-1]
    assert last.last_seen is not None
    rest = error_groups.newest(error_groups.groups(), before=(last.last_seen, last.pk), limit=2)
    assert len({group.pk for group in (*first, *rest)}) == 3
    with django_assert_num_queries(3):  # type: ignore[operator]
        assert [each.failed for each in error_groups.shown(first)] == [1, 1]


def test_many_messages_at_once_come_into_one_group_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MOST_ALIKE", 3)
    for number in range(20):
        fail(number, "The model said " + "abcdefghijklmnopqrst"[number] * 3)
    grouping.catch_up()
    assert ErrorGroup.objects.count() == 4
    assert ErrorGroup.objects.get(message=grouping.MANY).seen == 17


def test_the_start_of_an_action_holds_no_group_from_the_clock() -> None:
    fail(1)
    with transaction.atomic():
        previews.counted(bulk.asked())
        with DatabaseThreads(1) as clock:
            assert clock.submit(grouping.catch_up).result(timeout=10) == 1
