"""Bulk actions that are interrupted in the middle: a carrier that dies, a person who pauses, a newer carrier."""

from __future__ import annotations

from django.utils import timezone

from tests import bulk, engine
from tests.db.quarantine.test_quarantine import impose, looks
from tests.engine import OPERATOR, output, run
from workflows import quarantine
from workflows.bulk import actions
from workflows.bulk.changes import Change
from workflows.models import BulkAction, BulkItem, JournalEvent, Release, Run, StepRun
from workflows.releases import deployments


def retried(runs: list[Run]) -> list[str]:
    """Return which of the runs were retried, each as often as it was."""
    events = JournalEvent.objects.filter(type="run.retried", run__in=runs)
    return sorted(events.values_list("run_id", flat=True))


def waiting_for_its_first_run(count: int) -> tuple[BulkAction, list[Run]]:
    """Return an action whose first run was taken and does not end, and the failed runs that it has yet to take."""
    failed = bulk.outage(count)
    bulk.mend()
    action = bulk.start(canary=1)
    BulkAction.objects.update(state="running")
    first = action.items.order_by("id")[0]
    BulkItem.objects.filter(pk=first.pk).update(outcome="done", at=timezone.now())
    Run.objects.filter(pk=first.run_id).update(state="waiting", ended_at=None)
    engine.drain()
    assert StepRun.objects.filter(run=action.run_id, path__endswith="/rest", state="waiting").exists()
    return action, [run for run in failed if run.pk != first.run_id]


def let_end(action: BulkAction) -> None:
    """Let the first run end well."""
    held = Run.objects.filter(pk__in=action.items.filter(outcome="done").values("run_id"))
    held.update(state="succeeded", ended_at=timezone.now())


def test_a_carrier_that_dies_between_two_turns_of_waiting_takes_nothing_twice() -> None:
    action, rest = waiting_for_its_first_run(5)
    for _ in range(2):  # the worker that looks again dies with the look; a third time would condemn the step
        engine.wake()
        engine.claim()
        engine.expire()
    let_end(action)
    bulk.carried(action)
    action.refresh_from_db()
    assert action.state == "finished"
    assert retried(rest) == sorted(run.pk for run in rest)


def test_paused_while_the_first_are_out_it_is_resumed_by_a_newer_carrier() -> None:
    action, rest = waiting_for_its_first_run(4)
    old = action.run_id
    actions.pause(action.pk, actor=OPERATOR, reason="let me look")
    release = Release.objects.get(workflow="interlock-bulk")
    newer = Release.objects.create(
        workflow=release.workflow, number=release.number + 1, manifest=release.manifest, content_hash="newer"
    )
    deployments.deploy("interlock-bulk", environment="production", release=newer.number, actor=OPERATOR)
    resumed = actions.resume(action.pk, actor=OPERATOR)
    assert resumed.run_id != old
    assert Run.objects.get(pk=resumed.run_id).release == newer
    let_end(action)
    bulk.carried(resumed)
    resumed.refresh_from_db()
    assert resumed.state == "finished"
    assert retried(rest) == sorted(run.pk for run in rest)
    engine.wake()
    engine.drain()
    assert Run.objects.get(pk=old).ended_at is not None, (
        "the older carrier sees that it is not its own any more"
    )


def test_a_quarantine_that_comes_while_runs_begin_again_without_another_holds_for_them_too() -> None:
    name = looks()
    before = run(name)
    first = impose("document", "handbook/leave1.md")
    asked = bulk.asked("fork", change=Change(clean_of=first.pk))
    action = actions.start(actions.Order(asked=asked, reason="clean"), actor=OPERATOR).action
    second = impose("document", "handbook/leave2.md")
    bulk.carried(action)
    quarantine.mark_all()
    [item] = action.items.all()
    assert output(Run.objects.get(pk=item.made)) == []
    assert set(second.taints.values_list("run", flat=True)) == {before.pk}
