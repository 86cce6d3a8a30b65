"""A step that was lost twice runs alone: nothing else runs in its process, however it was found there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pytest_django import Settings

from tests.db.engine.test_absorbed import act
from tests.db.engine.test_leases import PAY, TOOL, TWO, finish
from tests.engine import check_journal, claim, deploy, drain, expire, output, start, states
from tests.threads import DatabaseThread
from tests.witness import Witness
from workflows import database
from workflows.engine import commit, execute, faults
from workflows.engine.commit import Claim
from workflows.engine.leases import Process
from workflows.engine.lookout import LOOK_S, Lookout
from workflows.models import Attempt, Run


@pytest.fixture
def witness(settings: Settings) -> Iterator[Witness]:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    with Witness() as running:
        yield running


@pytest.fixture
def suspect(witness: Witness) -> Run:
    """A run whose only step was lost twice."""
    run = start(deploy(PAY, tools=TOOL.format(url=witness.url("/pay"), effect="idempotent")))
    for _ in range(2):
        claim()
        expire()
    return run


@pytest.fixture
def here() -> Process:
    """A process of four threads that has heard no bell for a while."""
    process = Process()
    process.threads = 4
    process.heard_at -= LOOK_S + 1
    return process


def look(here: Process) -> threading.Thread:
    thread = Lookout(here).look()
    assert thread is not None
    return thread


def ran_alone(suspect: Run) -> bool:
    """Say whether no attempt of the same process overlaps the one that ran alone."""
    [own] = Attempt.objects.filter(run=suspect, alone=True)
    beside = Attempt.objects.filter(worker=own.worker, started_at__lt=own.ended_at).exclude(pk=own.pk)
    return not beside.filter(ended_at__gt=own.started_at).exists()


def both_succeed(suspect: Run, other: Run) -> None:
    drain()
    assert (output(suspect), output(other)) == ({"ok": True}, 2)
    assert ran_alone(suspect)
    for run in (suspect, other):
        check_journal(run)


@contextmanager
def held_at(point: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Stop the first thread that comes to a point of its step until the block ends; set once one has come."""
    come, go = threading.Event(), threading.Event()

    def stop(name: str, *, detail: str = "") -> None:
        if name == point and not come.is_set():
            come.set()
            assert go.wait(20)

    monkeypatch.setattr(faults, "point", stop)
    try:
        yield come
    finally:
        go.set()


def test_an_idle_process_that_finds_it_by_itself_takes_nothing_beside_it(
    suspect: Run, here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held_at("after_act", monkeypatch) as come:
        thread = look(here)
        assert come.wait(20)
        other = start(deploy(TWO))
        assert Lookout(here).look() is None
        assert execute.work(here) == 0  # nor for a bell
    thread.join(20)
    both_succeed(suspect, other)


def test_a_busy_process_that_looks_by_itself_leaves_it_and_takes_others(suspect: Run, here: Process) -> None:
    busy, other = start(deploy(TWO)), start(deploy(TWO))
    held = commit.claim(worker=here.id, lease_s=30, idle=False)
    assert held is not None
    with here.running(held, limit_s=60):
        look(here).join(20)
        assert states(suspect) == {"pay": "ready"}
        finish(held, act(held))
    done, left = (busy, other) if held.run == other.pk else (other, busy)
    assert output(done) == 2
    look(here).join(20)
    assert output(suspect) == {"ok": True}
    both_succeed(suspect, left)


@pytest.mark.parametrize("point", ["after_claim", "after_commit"])
def test_a_thread_that_holds_a_step_and_is_not_at_it_yet_counts_as_busy(
    point: str, here: Process, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = start(deploy(TWO))
    thread = DatabaseThread(target=execute.work, args=[here])
    with held_at(point, monkeypatch) as come:
        thread.start()
        assert come.wait(20)
        suspect = start(deploy(PAY, tools=TOOL.format(url=witness.url("/pay"), effect="idempotent")))
        for _ in range(2):
            taken = commit.claim(worker="another", lease_s=30, idle=True)
            assert taken is not None
            assert taken.run == suspect.pk
            lose(taken)
        look(here).join(20)
        assert states(suspect) == {"pay": "ready"}
    thread.join(20)
    both_succeed(suspect, other)


def lose(taken: Claim) -> None:
    """Let the lease of one claim run out, and of no other."""
    database.call("interlock_give_up", taken.step, "lost")


def test_nobody_of_the_process_claims_while_it_may_be_what_another_thread_gets(
    suspect: Run, here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    got, go = threading.Event(), threading.Event()
    real = commit.claim

    def slowly(*, worker: str, lease_s: float, idle: bool, after: str = "") -> Claim | None:
        found = real(worker=worker, lease_s=lease_s, idle=idle, after=after)
        if not got.is_set():
            got.set()
            assert go.wait(20)
        return found

    monkeypatch.setattr(commit, "claim", slowly)
    first = DatabaseThread(target=execute.work, args=[here])
    first.start()
    assert got.wait(20)
    other = start(deploy(TWO))
    second = DatabaseThread(target=execute.work, args=[here])
    second.start()
    second.join(0.5)
    go.set()
    for thread in (first, second):
        thread.join(20)
    both_succeed(suspect, other)
