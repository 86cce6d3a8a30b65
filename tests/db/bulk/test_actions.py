"""Bulk retry and cancel: what is frozen, what is done once, pause and stop, what follows a crash."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from tests import bulk, engine, factories
from workflows import recovery, runs
from workflows.bulk import actions, carrying, judging, previews, selections
from workflows.bulk.options import Options
from workflows.bulk.selections import Matching, Picked, Rest
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.models import AuditEntry, BulkAction, BulkItem, JournalEvent, Run, StepRun
from workflows.queries.run_list import RunFilter


def outcomes(of: BulkAction) -> dict[str, int]:
    return dict(Counter(of.items.values_list("outcome", flat=True)))


def state(of: BulkAction) -> str:
    of.refresh_from_db()
    return of.state


def retries(of: Run) -> int:
    return JournalEvent.objects.filter(run=of, type="run.retried").count()


def test_failed_runs_go_on_and_end_well() -> None:
    failed = bulk.outage(3)
    bulk.mend()
    action = bulk.start()
    engine.drain()
    assert state(action) == "finished"
    assert outcomes(action) == {"done": 3}
    for run in failed:
        run.refresh_from_db()
        assert run.state == "succeeded"
        assert retries(run) == 1
        engine.check_journal(run)


def test_one_audit_entry_speaks_for_all_runs() -> None:
    bulk.outage(3)
    action = bulk.start()
    engine.drain()
    [entry] = AuditEntry.objects.exclude(object_kind__in=["definition", "deployment"]).filter(
        actor=str(engine.OPERATOR), action__startswith="bulk"
    )
    assert (entry.action, entry.object_id, entry.reason) == ("bulk.retry", action.pk, "key renewed")
    assert entry.data["runs"] == 3
    assert not AuditEntry.objects.filter(action="run.retry").exists()
    event = JournalEvent.objects.filter(type="run.retried").first()
    assert event is not None
    assert event.data["by"] == "olga"
    assert event.data["reason"] == f"key renewed (bulk action {action.pk})"


def test_runs_that_came_later_are_not_touched() -> None:
    [early] = bulk.outage(1)
    frozen = bulk.asked()
    [late] = bulk.outage(1)
    action = actions.start(actions.Order(asked=frozen, reason="why"), actor=engine.OPERATOR).action
    engine.drain()
    assert list(action.items.values_list("run_id", flat=True)) == [early.pk]
    assert retries(late) == 0


def test_a_run_that_failed_after_the_moment_is_not_retried() -> None:
    [failed] = bulk.outage(1)
    assert failed.ended_at is not None
    frozen = replace(bulk.asked(), frozen_at=failed.ended_at - timedelta(milliseconds=1))
    assert previews.preview(frozen).applies == 0


def test_no_more_runs_than_were_shown() -> None:
    bulk.outage(2)
    order = actions.Order(asked=bulk.asked(), reason="why", expected=1)
    with pytest.raises(Conflict, match="2 runs would be retried now, more than the 1 that were shown"):
        actions.start(order, actor=engine.OPERATOR)
    assert not BulkAction.objects.exists()
    assert not BulkItem.objects.exists()
    assert not Run.objects.filter(workflow=previews.CARRIER).exists()


def test_active_runs_are_cancelled() -> None:
    bulk.outage(1)
    going = [engine.start("asking", text="x") for _ in range(3)]
    action = bulk.start("cancel")
    engine.drain()
    assert state(action) == "finished"
    assert {item.run_id for item in action.items.all()} == {run.pk for run in going}
    assert set(Run.objects.filter(pk__in=[run.pk for run in going]).values_list("state", flat=True)) <= {
        "cancelled",
        "failed",
    }


def test_a_run_that_changed_meanwhile_is_refused_with_its_reason() -> None:
    first, second = bulk.outage(2)
    action = bulk.start()
    recovery.retry(first.pk, actor=engine.OPERATOR)
    bulk.mend()
    engine.drain()
    found = dict(action.items.values_list("run_id", "outcome"))
    assert found == {first.pk: "refused", second.pk: "done"}
    assert "only failed or cancelled runs can be retried" in action.items.get(outcome="refused").reason
    assert retries(first) == 1


def test_a_run_named_twice_is_taken_once() -> None:
    [failed] = bulk.outage(1)
    action = bulk.start(selection=selections.picked([failed.pk, failed.pk, "r_nothing"]))
    engine.drain()
    assert outcomes(action) == {"done": 1}
    assert retries(failed) == 1


def test_two_actions_on_the_same_runs_retry_each_once() -> None:
    failed = bulk.outage(4)
    bulk.mend()
    one, two = bulk.start(), bulk.start()
    engine.drain()
    assert outcomes(one).get("done", 0) + outcomes(two).get("done", 0) == 4
    assert [retries(run) for run in failed] == [1, 1, 1, 1]


def test_a_worker_that_dies_in_the_middle_repeats_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = bulk.outage(6)
    action = bulk.start()
    engine.claim()  # the carrier's first step is taken by a worker that never comes back
    engine.expire()
    monkeypatch.setattr(carrying, "PORTION", 4)
    for _ in range(2):
        assert carrying._surely_next(action.pk, action.run_id) is None  # not begun: still `waiting`
    BulkAction.objects.filter(pk=action.pk).update(state="running")
    for _ in range(3):
        assert carrying._surely_next(action.pk, action.run_id) == "done"
    engine.drain()
    assert state(action) == "finished"
    assert outcomes(action) == {"done": 6}
    assert [retries(run) for run in failed] == [1] * 6


def test_a_carrier_that_was_taken_for_dead_does_nothing_beside_its_successor() -> None:
    bulk.outage(2)
    action = bulk.start()
    BulkAction.objects.filter(pk=action.pk).update(state="running")
    assert carrying._surely_next(action.pk, "r_another") is None
    assert outcomes(action) == {"pending": 2}


def test_a_stop_before_the_start_undoes_it() -> None:
    failed = bulk.outage(2)
    order = actions.Order(asked=bulk.asked(), reason="why")
    action = actions.start(order, actor=engine.OPERATOR, undo_s=0.4).action
    actions.stop(action.pk, actor=engine.OPERATOR, reason="wrong ones")
    engine.drain()
    assert state(action) == "stopped"
    assert outcomes(action) == {"pending": 2}
    assert [retries(run) for run in failed] == [0, 0]
    assert Run.objects.get(pk=action.run_id).state == "succeeded"


def test_a_paused_action_goes_on_where_it_stood() -> None:
    failed = bulk.outage(5)
    action = bulk.start()
    BulkAction.objects.filter(pk=action.pk).update(state="running")
    carrying._surely_next(action.pk, action.run_id)
    actions.pause(action.pk, actor=engine.OPERATOR)
    engine.drain()
    assert outcomes(action) == {"done": 1, "pending": 4}
    assert state(action) == "paused"
    resumed = actions.resume(action.pk, actor=engine.OPERATOR)
    assert resumed.run_id != action.run_id
    engine.drain()
    assert state(action) == "finished"
    assert [retries(run) for run in failed] == [1] * 5


def test_an_action_whose_carrier_was_cancelled_is_interrupted_and_can_be_resumed() -> None:
    failed = bulk.outage(2)
    action = bulk.start()
    runs.cancel(action.run_id, actor=engine.OPERATOR)
    engine.drain()
    assert actions.is_interrupted(action)
    assert state(actions.resume(action.pk, actor=engine.OPERATOR)) == "running"
    engine.drain()
    assert state(action) == "finished"
    assert [retries(run) for run in failed] == [1, 1]


def test_what_has_ended_can_be_neither_paused_nor_resumed_nor_stopped() -> None:
    bulk.outage(1)
    action = bulk.start()
    engine.drain()
    for move in (actions.pause, actions.resume, actions.stop):
        with pytest.raises(Conflict, match="is finished"):
            move(action.pk, actor=engine.OPERATOR)


def test_the_rest_of_a_stopped_action_is_an_action_of_its_own() -> None:
    failed = bulk.outage(3)
    action = bulk.start()
    BulkAction.objects.filter(pk=action.pk).update(state="running")
    carrying._surely_next(action.pk, action.run_id)
    actions.stop(action.pk, actor=engine.OPERATOR)
    engine.drain()
    rest = bulk.start(selection=Rest(action.pk, "pending"))
    assert rest.total == 2
    engine.drain()
    assert [retries(run) for run in failed] == [1, 1, 1]
    again = bulk.start(selection=Rest(action.pk, "failed"))
    assert list(again.items.values_list("run_id", flat=True)) == [failed[0].pk]


def test_it_stops_by_itself_when_too_many_fail_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "ENOUGH", 2)
    bulk.outage(6)  # and the provider stays down
    action = bulk.start(stop_above=0.1)
    carrier = StepRun.objects.filter(run_id=action.run_id, step_id="open")
    carrier.update(state="waiting")
    BulkAction.objects.filter(pk=action.pk).update(state="running")
    for _ in range(2):
        carrying._surely_next(action.pk, action.run_id)
    engine.drain()  # the two fail again
    carrier.update(state="ready")
    engine.drain()
    assert state(action) == "stopped"
    assert "2 of 2 runs that ended failed again, more than 10%" in action.note
    assert outcomes(action) == {"done": 2, "pending": 4}


def test_the_rate_is_held() -> None:
    bulk.outage(6)
    action = bulk.start(rate_per_s=20)
    began = timezone.now()
    engine.drain()
    assert state(action) == "finished"
    assert (timezone.now() - began).total_seconds() > 0.25


def test_the_same_key_is_the_same_action() -> None:
    bulk.outage(1)
    order = actions.Order(asked=bulk.asked(), reason="why")
    first = actions.start(order, actor=engine.OPERATOR, key="k1")
    again = actions.start(
        replace(order, asked=replace(order.asked, frozen_at=timezone.now())), actor=engine.OPERATOR, key="k1"
    )
    assert (first.created, again.created) == (True, False)
    assert first.action.pk == again.action.pk
    with pytest.raises(Invalid, match="with another request"):
        actions.start(replace(order, reason="other"), actor=engine.OPERATOR, key="k1")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reason": "  "}, "A reason is needed"),
        ({"options": Options(rate_per_s=0)}, "The rate is at least 0.1"),
        ({"options": Options(stop_above=1.5)}, "The share of failures"),
    ],
)
def test_orders_that_make_no_sense_are_refused(change: dict[str, object], said: str) -> None:
    order = replace(actions.Order(asked=bulk.asked(), reason="why"), **change)  # type: ignore[arg-type]
    with pytest.raises(Invalid, match=said):
        actions.start(order, actor=engine.OPERATOR)


def test_nothing_to_do_is_no_action() -> None:
    with pytest.raises(Conflict, match="None of these runs can be retried any more"):
        bulk.start()


def test_an_unknown_action_is_told() -> None:
    with pytest.raises(UnknownObject, match="There is no bulk action b_x"):
        actions.get("b_x")
    with pytest.raises(UnknownObject):
        actions.get("b\0")


def test_a_filter_survives_being_written_down() -> None:
    chosen = RunFilter(workflow="asking", states=("failed",), since=timezone.now())
    written = selections.as_json(Matching(chosen))
    assert set(written["filter"]) == {"workflow", "states", "since"}
    assert selections.from_json(written) == Matching(chosen)
    assert selections.from_json(selections.as_json(Picked(("r_1",)))) == Picked(("r_1",))
    assert selections.from_json(selections.as_json(Rest("b_1", "failed"))) == Rest("b_1", "failed")
    with pytest.raises(Invalid, match="not one of this version"):
        selections.from_json({"filter": {"since": "nonsense"}})


def test_many_picked_runs_want_a_filter() -> None:
    with pytest.raises(Invalid, match="1,001 runs are named one by one"):
        selections.picked([f"r_{number}" for number in range(1001)])
    with pytest.raises(Invalid, match="No run is named"):
        selections.picked(["", "\0"])


def test_ten_thousand_runs_are_frozen_and_carried_out_in_portions() -> None:
    bulk.many_failed(10_000)
    action = bulk.start("retry")
    assert action.total == 10_000
    claimed = engine.claim()
    assert claimed.step_id == "open"
    engine.expire()
    BulkAction.objects.filter(pk=action.pk).update(state="running")
    for _ in range(50):
        assert carrying._surely_next(action.pk, action.run_id) == "done"
    assert outcomes(action) == {"done": 50, "pending": 9950}
    oldest = Run.objects.exclude(state="failed").filter(workflow="asking").values_list("pk", flat=True)
    assert set(oldest) == {f"r_f{number:012d}" for number in range(50)}


def test_more_runs_than_one_action_may_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.many_runs(5, states=("failed",))
    monkeypatch.setattr(previews, "MAX_RUNS", 4)
    with pytest.raises(Invalid, match="More than 4 runs match"):
        bulk.start()
