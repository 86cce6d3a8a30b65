"""Which runs go when their time is over, and that nothing of them is left."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.db.replay.test_verify import moods
from tests.db.retention.past import age
from tests.engine import OPERATOR, deploy, drain, run, start
from workflows import memory, quarantine, recovery, runs
from workflows.errors import UnknownObject
from workflows.models import AuditEntry, DeletedRun, Environment, Prune, Run
from workflows.replay import forking, verify
from workflows.retention import batches, pruning
from workflows.retention.report import Report

CHILDREN = """
name: outer
steps:
  - {id: call, workflow: inner, with: {n: 2}}
output: "{{ steps.call.output }}"
"""
INNER = "name: inner\nsteps: [{id: a, set: {v: '{{ input.n }}'}}]\noutput: '{{ steps.a.output.v }}'\n"
FAILING = "name: fails\nsteps: [{id: a, set: {v: '{{ input.nothing.at.all }}'}}]\n"


@pytest.fixture(autouse=True)
def _thirty_days(settings: Any) -> None:
    settings.RETENTION = {"*": {"runs": 30}}


def prune(**given: Any) -> Report:
    return pruning.prune(actor=OPERATOR, now=timezone.now(), **given)


def rows_that_name(run_ids: list[str]) -> dict[str, int]:
    """Count the rows of every table that has a column for a run."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN information_schema.tables t "
            "USING (table_schema, table_name) WHERE t.table_type = 'BASE TABLE' AND table_schema = 'public' "
            "AND c.column_name IN ('run', 'run_id', 'parent_id', 'forked_from_id') "
            "AND data_type IN ('text', 'character varying')"
        )
        found = {}
        for table, column in cursor.fetchall():
            cursor.execute(f"SELECT count(*) FROM {table} WHERE {column} = ANY(%s)", [run_ids])  # noqa: S608
            found[f"{table}.{column}"] = int((cursor.fetchone() or [0])[0])
    return {name: count for name, count in found.items() if count}


def test_nothing_is_deleted_where_nothing_is_set(settings: Any) -> None:
    settings.RETENTION = {}
    done = moods("good day")
    age(10_000)
    assert not prune().counts
    assert not pruning.survey(now=timezone.now()).counts
    assert verify.replay(done.pk).verdict == "identical"


def test_a_run_past_its_time_goes_with_all_that_it_left() -> None:
    old = moods("good day", "rain")
    age(31)
    young = moods("sunshine")
    assert rows_that_name([old.pk])
    told = pruning.survey(now=timezone.now())
    done = prune()
    assert rows_that_name([old.pk]) == {}
    assert (done.counts, done.bytes) == (told.counts, told.bytes)
    assert done.counts["runs"] == 1
    assert done.counts["calls"] == 3
    assert done.counts["payloads"] > 5
    assert verify.replay(young.pk).verdict == "identical"
    assert not prune().counts, "there is nothing more to do"


def test_a_run_that_is_gone_is_told_as_gone() -> None:
    old = moods("good day")
    age(31)
    prune()
    with pytest.raises(
        UnknownObject, match=rf"Run {old.pk} was deleted on .* by the retention of environment production"
    ):
        runs.get(old.pk)
    for deed in (recovery.retry, runs.cancel):
        with pytest.raises(UnknownObject, match="was deleted on"):
            deed(old.pk, actor=OPERATOR)
    with pytest.raises(UnknownObject, match="was deleted on"):
        forking.fork(old.pk, forking.Ask(), actor=OPERATOR)


def test_a_prune_is_written_down_with_what_it_removed() -> None:
    moods("good day")
    age(31)
    done = prune()
    [entry] = AuditEntry.objects.filter(action="retention.prune")
    assert entry.data == {**done.counts, "bytes": done.bytes}
    assert entry.actor == "olga"
    record = Prune.objects.get()
    assert record.ended_at is not None
    assert Report.of(record) == done


def test_the_audit_log_is_never_pruned() -> None:
    done = moods("good day")
    runs.start(runs.Order(workflow="moods", input={"texts": []}), actor=OPERATOR, trigger="api")
    drain()
    forking.fork(done.pk, forking.Ask(), actor=OPERATOR)
    drain()
    before = list(AuditEntry.objects.order_by("pk").values())
    age(400)
    prune()
    assert not Run.objects.exists()
    assert list(AuditEntry.objects.order_by("pk").values())[: len(before)] == before


def test_failed_runs_are_kept_longer(settings: Any) -> None:
    settings.RETENTION = {"*": {"runs": 30, "failed": 60}}
    failed = run(deploy(FAILING))
    assert failed.state == "failed"
    moods("good day")
    age(31)
    prune()
    assert list(Run.objects.all()) == [failed]
    age(30)
    prune()
    assert not Run.objects.exists()


def test_each_environment_has_its_own_time(settings: Any) -> None:
    settings.RETENTION = {"production": {"runs": 90}, "*": {"runs": 1}}
    done = moods("good day")
    age(31)
    assert not prune().counts
    assert Run.objects.filter(pk=done.pk).exists()


def test_imported_runs_are_kept_unless_they_are_named(settings: Any) -> None:
    done = moods("good day")
    Environment.objects.get_or_create(name="imported")
    Run.objects.filter(pk=done.pk).update(environment_id="imported")
    age(31)
    assert not prune().counts
    settings.RETENTION = {"*": {"runs": 30}, "imported": {"runs": 7}}
    assert prune().counts["runs"] == 1


def test_a_tree_goes_together_when_all_of_it_has_ended() -> None:
    deploy(INNER)
    done = run(deploy(CHILDREN))
    child = done.children.get()
    age(31)
    Run.objects.filter(pk=child.pk).update(ended_at=None)
    assert not prune().counts
    Run.objects.filter(pk=child.pk).update(ended_at=done.ended_at)
    assert prune().counts["runs"] == 2
    assert rows_that_name([done.pk, child.pk]) == {}


def _open(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(ended_at=None, state="waiting")


def _tagged(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(tags=["vip", "keep"])


def _tainted(run: Run) -> None:
    ask = quarantine.Ask(kind="prompt", ref="mood@1", reason="wrong")
    quarantine.impose(ask, actor=OPERATOR)


def _forked(run: Run) -> None:
    fork = forking.fork(run.pk, forking.Ask(), actor=OPERATOR)
    assert fork.ended_at is None


@pytest.mark.parametrize("need", [_open, _tagged, _tainted, _forked])
def test_what_somebody_needs_stays(need: Callable[[Run], None]) -> None:
    done = moods("good day")
    need(done)
    age(31)
    assert prune().counts["runs"] == 0
    assert Run.objects.filter(pk=done.pk).exists()
    done.refresh_from_db()
    if done.ended_at:
        assert verify.replay(done.pk).verdict == "identical"


def test_what_is_quarantined_no_more_keeps_no_run() -> None:
    done = moods("good day")
    _tainted(done)
    age(31)
    assert prune().counts["runs"] == 0
    quarantine.release(done.taints.get().quarantine_id, actor=OPERATOR, reason="it was right")
    assert prune().counts["runs"] == 1
    assert rows_that_name([done.pk]) == {}


def test_a_fork_outlives_the_run_that_it_is_of() -> None:
    done = moods("good day", "rain")
    age(31)
    fork = forking.fork(done.pk, forking.Ask(from_step="count"), actor=OPERATOR)
    drain()
    assert prune().counts["runs"] == 1
    fork.refresh_from_db()
    assert (fork.forked_from_id, (fork.fork or {})["of"]) == (None, done.pk)
    age(2)
    prune()
    assert verify.replay(fork.pk).verdict == "identical"


def test_what_a_fork_remembered_goes_with_it_and_what_runs_remembered_stays() -> None:
    name = deploy(
        "name: w\nsteps: [{id: a, memory: {write: {scope: global, key: k, value: '{{ input.v }}'}}}]\n"
    )
    done = run(name, v=[1, 2])
    fork = forking.fork(done.pk, forking.Ask(), actor=OPERATOR)
    drain()
    fork.refresh_from_db()
    assert fork.state == "succeeded"
    age(31)
    told = pruning.survey(now=timezone.now())
    done_now = prune()
    assert done_now.counts == told.counts
    assert (done_now.counts["fork_keys"], done_now.counts["fork_memory"]) == (1, 1)
    place = memory.place("production", "global", "k")
    assert memory.get(place).value == [1, 2]
    [version] = memory.history(place)
    assert version.run_id == done.pk, "it tells of a run that is gone"


class KilledError(Exception):
    """Ends a prune between two batches."""


def die() -> None:
    raise KilledError


def test_a_prune_that_is_killed_after_every_batch_is_gone_on_with_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = [moods("good day", "rain").pk for _ in range(2)]
    age(31)
    expected = pruning.survey(now=timezone.now())
    monkeypatch.setattr(batches, "ROWS", 3)
    total, prunes, ended = Report(), 0, False
    while not ended:
        prunes += 1
        with contextlib.suppress(KilledError):
            prune(pause=die)
            ended = True
        done = Report.of(Prune.objects.latest("pk"))
        total.counts, total.bytes = total.counts + done.counts, total.bytes + done.bytes
    assert prunes > 20
    assert rows_that_name(ids) == {}
    assert total.counts == expected.counts
    assert total.bytes == expected.bytes
    assert not DeletedRun.objects.filter(emptied_at=None).exists()
    assert not pruning.survey(now=timezone.now()).counts


def test_the_clock_prunes_once_a_day_and_again_after_a_kill() -> None:
    now = timezone.now()
    assert pruning.is_due(now=now)
    record = Prune.objects.create(by="somebody")
    assert not pruning.is_due(now=timezone.now()), "one is under way"
    Prune.objects.filter(pk=record.pk).update(began_at=now - pruning.EVERY / 8)
    assert pruning.is_due(now=now), "it was killed"
    Prune.objects.filter(pk=record.pk).update(ended_at=now)
    assert not pruning.is_due(now=now)
    assert pruning.is_due(now=now + pruning.EVERY)


def test_a_step_that_waits_keeps_its_run() -> None:
    going = start(deploy("name: w\nsteps: [{id: a, wait: {signal: s}}]\n"))
    drain()
    age(400)
    assert not prune().counts["runs"]
    runs.signal(going.pk, "s", {"x": 1}, actor=OPERATOR)
    drain()
    going.refresh_from_db()
    assert going.state == "succeeded"
    assert verify.replay(going.pk).verdict == "identical"
