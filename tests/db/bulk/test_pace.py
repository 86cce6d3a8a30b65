"""The pace of bulk actions: the first runs before the rest, how many at once, on which release."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests import bulk, engine
from workflows import payloads
from workflows.builtin.functions import Here
from workflows.bulk import actions, carrying, judging
from workflows.bulk.options import Options
from workflows.errors import Invalid
from workflows.models import BulkAction, BulkItem, JournalEvent, Run


def taken(of: BulkAction) -> int:
    return of.items.exclude(outcome="pending").count()


def state(of: BulkAction) -> str:
    of.refresh_from_db()
    return of.state


def test_the_rest_follows_once_the_first_have_ended_well() -> None:
    failed = bulk.outage(6)
    bulk.mend()
    action = bulk.start(canary=2, stop_above=0.1)
    bulk.carried(action)
    assert state(action) == "finished"
    assert action.passed_at is not None
    first = list(action.items.order_by("id").values_list("run_id", flat=True))[:2]
    ended = Run.objects.filter(pk__in=first).order_by("-ended_at").values_list("ended_at", flat=True)[0]
    rest = JournalEvent.objects.filter(type="run.retried", run__in=failed).exclude(run__in=first)
    assert ended is not None
    assert [event.at >= ended for event in rest] == [True] * 4


def test_the_rest_is_never_touched_when_the_first_fail_again() -> None:
    failed = bulk.outage(6)
    action = bulk.start(canary=2, stop_above=0.5)
    bulk.carried(action)
    assert state(action) == "stopped"
    assert action.note == "Stopped by itself: 2 of 2 first runs that ended failed again, more than 50%."
    assert taken(action) == 2
    retried = JournalEvent.objects.filter(type="run.retried", run__in=failed)
    assert retried.count() == 2


def test_refused_runs_are_no_proof_of_anything() -> None:
    failed = bulk.outage(4)
    action = bulk.start(canary=1)
    oldest = action.items.order_by("id").values_list("run_id", flat=True)[0]
    Run.objects.filter(pk=oldest).update(state="succeeded")
    bulk.carried(action)
    assert state(action) == "stopped"
    assert sorted(action.items.exclude(outcome="pending").values_list("outcome", flat=True)) == [
        "done",
        "refused",
    ]
    assert len(failed) == 4


def test_first_runs_that_do_not_end_leave_it_to_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = bulk.outage(3)
    bulk.mend()
    action = bulk.start(canary=1)
    BulkAction.objects.update(state="running")
    [first] = action.items.order_by("id")[:1]
    BulkItem.objects.filter(pk=first.pk).update(outcome="done", at=action.created_at)
    Run.objects.filter(pk=first.run_id).update(state="waiting", ended_at=None)
    monkeypatch.setattr(judging, "PATIENCE", timedelta(0))
    bulk.carried(action)
    assert state(action) == "paused"
    assert "1 of the first 1 runs have not ended" in action.note
    assert taken(action) == 1
    resumed = actions.resume(action.pk, actor=engine.OPERATOR)
    assert resumed.passed_at is not None
    bulk.carried(resumed)
    assert state(resumed) == "finished"
    assert {run.pk for run in failed} == set(
        action.items.filter(outcome="done").values_list("run_id", flat=True)
    )


def test_no_more_runs_go_on_at_once_than_asked() -> None:
    bulk.outage(5)
    bulk.mend()
    action = bulk.start(at_once=2)
    BulkAction.objects.update(state="running")
    seen: list[int] = []
    for _ in range(4):
        action.refresh_from_db()
        seen.append(judging.leave(action, waited_s=0).runs)
        if seen[-1]:
            item = action.items.filter(outcome="pending").order_by("id")[0]
            BulkItem.objects.filter(pk=item.pk).update(outcome="done")
            Run.objects.filter(pk=item.run_id).update(state="running", ended_at=None)
    assert seen == [2, 1, 0, 0]
    assert judging.leave(action, waited_s=0).again_s == judging.LOOK_S
    assert judging.leave(action, waited_s=1000).again_s == judging.LOOK_SELDOM_S


def test_a_run_that_was_deleted_holds_nobody_up() -> None:
    bulk.outage(2)
    action = bulk.start(at_once=1)
    item = action.items.order_by("id")[0]
    BulkItem.objects.filter(pk=item.pk).update(outcome="done", run_id="r_gone")
    assert judging.leave(action, waited_s=0).runs == 1


def test_all_come_through_with_few_at_once() -> None:
    failed = bulk.outage(7)
    bulk.mend()
    action = bulk.start(at_once=2, canary=1)
    bulk.carried(action)
    assert state(action) == "finished"
    assert Run.objects.filter(pk__in=[run.pk for run in failed], state="succeeded").count() == 7


def test_runs_go_on_with_the_release_that_is_live() -> None:
    failed = bulk.outage(2)
    engine.deploy(bulk.ASKING.replace('text: "{{ input.text }}"', 'text: "{{ input.text | upper }}"'))
    bulk.mend()
    order = actions.Order(asked=bulk.asked(deployed=True), reason="a better release")
    action = actions.start(order, actor=engine.OPERATOR).action
    bulk.carried(action)
    releases = Run.objects.filter(pk__in=[run.pk for run in failed]).values_list("release__number", flat=True)
    assert set(releases) == {2}
    assert state(action) == "finished"


def test_an_action_of_an_older_version_goes_on() -> None:
    failed = bulk.outage(2)
    bulk.mend()
    action = bulk.start()
    BulkAction.objects.update(options={"rate_per_s": None, "stop_above": None, "with_cancelled": False})
    bulk.carried(action)
    assert Run.objects.filter(pk__in=[run.pk for run in failed], state="succeeded").count() == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [({"canary": 1001}, "At most 1,000 runs go first"), ({"at_once": 0}, "Between 1 and 10,000 runs")],
)
def test_paces_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        bulk.start(**options)


def test_a_carrier_of_an_older_version_takes_runs_too() -> None:
    bulk.outage(2)
    action = bulk.start()
    BulkAction.objects.update(state="running")
    here = Here(run=action.run_id, cancelled=lambda: False, embed=lambda *_: np.zeros((0, 1), np.float32))
    assert carrying.bulk_portion({"bulk": action.pk, "portion": 0}, here) == {"taken": 2, "again_s": 0.0}


def test_it_looks_more_seldom_only_while_nothing_changes() -> None:
    bulk.outage(4)
    action = bulk.start(at_once=1)
    BulkAction.objects.update(state="running")
    here = Here(run=action.run_id, cancelled=lambda: False, embed=lambda *_: np.zeros((0, 1), np.float32))
    told = {"taken": 0, "again_s": 0.0}
    seen = []
    for look in range(6):
        told = carrying.bulk_portion(
            {"bulk": action.pk, "taken": told["taken"], "waited_s": told["again_s"]}, here
        )
        seen.append((told["taken"], told["again_s"]))
        if look in (2, 3):  # the run that goes on ends
            Run.objects.filter(state="running").update(state="failed", ended_at=action.created_at)
    assert seen == [(1, 1.0), (1, 1.5), (1, 2.25), (2, 1.0), (3, 1.0), (3, 1.5)]


def test_a_key_of_an_older_version_is_still_the_same_request() -> None:
    order = actions.Order(asked=bulk.asked(), reason="why")
    old = {"action": "retry", "selection": {"filter": {}}, "with_cancelled": False, "reason": "why"}
    assert order.digest() == payloads.digest({**old, "rate_per_s": None, "stop_above": None})
    other = replace(order, options=Options(canary=3))
    assert other.digest() != order.digest()
