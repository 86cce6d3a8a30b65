"""A bulk retry with real workers, one of which is killed in the middle of it."""

from __future__ import annotations

from tests import bulk
from tests.engine import check_journal
from tests.workers import Workers, until
from workflows.models import Attempt, BulkItem, JournalEvent, Run

# Short leases, so that a lost worker is noticed in seconds.
FAST = {"INTERLOCK_LEASE": "2", "INTERLOCK_HEARTBEAT": "0.4"}
RUNS = 40


def test_a_worker_killed_in_the_middle_of_a_bulk_retry_repeats_nothing(worker: Workers) -> None:
    failed = bulk.outage(RUNS)
    bulk.mend()
    action = bulk.start(rate_per_s=15)
    done = BulkItem.objects.filter(bulk=action, outcome="done")
    first = worker.start(env=FAST)
    until(lambda: done.count() >= 8, within_s=40, what="some runs retried")
    first.kill()
    reached = done.count()
    assert reached < RUNS, "it was killed too late to prove anything"
    worker.start(env=FAST)

    def finished() -> bool:
        action.refresh_from_db()
        return action.state == "finished"

    until(finished, within_s=60, what="the action finished")
    assert done.count() == RUNS
    ids = [run.pk for run in failed]
    until(
        lambda: Run.objects.filter(pk__in=ids, state="succeeded").count() == RUNS,
        within_s=30,
        what="every run succeeded",
    )
    retried = JournalEvent.objects.filter(type="run.retried", run__in=ids).values_list("run_id", flat=True)
    assert sorted(retried) == sorted(ids), "each run was retried once"
    assert Attempt.objects.filter(run_id=action.run_id, state="lost").exists()
    check_journal(Run.objects.get(pk=action.run_id))
    for run in failed:
        check_journal(run)
