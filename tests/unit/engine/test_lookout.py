"""Who looks for ready rows without a bell: only where none is heard, and never with more threads than there are."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from workflows.engine import execute
from workflows.engine.leases import Process
from workflows.engine.lookout import LOOK_S, Lookout


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Work that lasts until this is set."""
    done = threading.Event()
    monkeypatch.setattr(execute, "work", lambda here: 0 if done.wait(10) else 1)
    yield done
    done.set()


def _deaf(threads: int) -> Process:
    here = Process()
    here.threads = threads
    here.heard_at -= LOOK_S + 1
    return here


def test_while_bells_are_heard_nobody_looks(free: threading.Event) -> None:
    here = Process()
    here.threads = 2
    assert Lookout(here).look() is None


def test_without_bells_as_many_threads_work_as_there_are_and_no_more(free: threading.Event) -> None:
    lookout = Lookout(_deaf(2))
    first, second = lookout.look(), lookout.look()
    assert first is not None
    assert second is not None
    assert lookout.look() is None
    free.set()
    for thread in (first, second):
        thread.join(10)
    assert lookout.look() is not None  # their places are free again


def test_a_process_that_drains_looks_no_more(free: threading.Event) -> None:
    here = _deaf(2)
    here.draining.set()
    assert Lookout(here).look() is None


def test_a_look_that_fails_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(here: Process) -> int:
        raise RuntimeError("broken")

    monkeypatch.setattr(execute, "work", broken)
    lookout = Lookout(_deaf(1))
    for _ in range(3):
        thread = lookout.look()
        assert thread is not None
        thread.join(10)


def test_a_bell_ends_the_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    here = _deaf(1)
    made: list[int] = []

    def work(here: Process) -> int:
        made.append(1)
        if len(made) == 3:
            here.heard_at += 2 * LOOK_S + 1
        return 1

    monkeypatch.setattr(execute, "work", work)
    thread = Lookout(here).look()
    assert thread is not None
    thread.join(10)
    assert len(made) == 3
