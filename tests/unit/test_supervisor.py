from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.processes import Command, StartError, spawn, stop
from console.supervisor import Part, Stopped, Supervisor, bound, deaths_in_a_row, delay_s, ending, stoppable


@given(st.integers(min_value=0, max_value=10**9))
def test_the_delay_grows_and_has_a_limit(deaths: int) -> None:
    assert 0.5 <= delay_s(deaths) <= delay_s(deaths + 1) <= 30


def test_the_delay_doubles() -> None:
    assert [delay_s(deaths) for deaths in (1, 2, 3, 8, 10_000)] == [0.5, 1, 2, 30, 30]


def test_a_part_that_ran_long_starts_counting_anew() -> None:
    assert deaths_in_a_row(7, lived_s=3600) == 1
    assert deaths_in_a_row(7, lived_s=2) == 8


def test_an_ending_is_told_in_words() -> None:
    assert ending(-9) == "was killed by SIGKILL"
    assert ending(3) == "ended with status 3"


def test_a_long_log_is_moved_aside_while_it_is_written(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100)
        bound(log, max_bytes=50)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert (tmp_path / "web.1.log").read_bytes() == b"x" * 100


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_request_to_stop_that_is_lost_in_a_finalizer_is_met_by_whoever_watches(tmp_path: Path) -> None:
    class Dropped:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)
            time.sleep(0)  # where the handler runs at the latest

    with stoppable() as asked:
        del_me = [Dropped()]
        assert not asked()
        del_me.clear()
        gc.collect()
        assert asked()
        with pytest.raises(Stopped):
            Supervisor(tmp_path, print).watch(asked)


def test_a_part_that_dies_is_started_again_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path, said.append)
    starts = tmp_path / "starts"
    script = f"open({str(starts)!r}, 'a').write('x')"
    supervisor.start(Part("short", lambda: Command((sys.executable, "-S", "-c", script), tmp_path), 0))
    naps = 0

    def nap(_seconds: float, pause: object = time.sleep) -> None:
        nonlocal naps
        naps += 1
        pause(_seconds)  # type: ignore[operator]
        if starts.exists() and len(starts.read_text()) > 1:
            raise Stopped
        assert naps < 100

    monkeypatch.setattr("console.supervisor.time.sleep", nap)
    with pytest.raises(Stopped):
        supervisor.watch()
    supervisor.stop()
    assert said[:2] == ["short ended with status 0; starting it again in 0.5 s", "short runs again"]


def test_parts_stop_by_rank_and_a_stubborn_one_is_killed(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path, said.append)
    deaf = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print(1, flush=True); time.sleep(60)"
    alive = supervisor.start(
        Part("deaf", lambda: Command((sys.executable, "-S", "-c", deaf), tmp_path), 0, grace_s=0.2)
    )
    while not (tmp_path / "deaf.log").read_text():
        time.sleep(0.01)
    supervisor.stop()
    assert said == ["deaf did not stop within 0.2 s: killed"]
    assert not alive()


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, print)
    with pytest.raises(StartError, match="ghost cannot be started"):
        supervisor.start(Part("ghost", lambda: Command((str(tmp_path / "none"),), tmp_path), 0))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux' alone")
def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from console.processes import Command, spawn\n"
        "child = spawn(Command(('sleep', '60'), Path('.')), log=Path(sys.argv[1]))\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.kill()
    end = time.monotonic() + 5
    while Path(f"/proc/{child}/stat").exists() and time.monotonic() < end:
        if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            break  # dead; whoever inherits it has not looked yet
        time.sleep(0.01)
    assert time.monotonic() < end


def test_stop_gives_the_exit_status(tmp_path: Path) -> None:
    process = spawn(Command(("sleep", "60"), tmp_path), log=tmp_path / "log")
    assert os.getsid(process.pid) == process.pid, "a session of its own: Ctrl-C passes it by"
    assert stop(process) == -signal.SIGTERM
    assert stop(process) == -signal.SIGTERM
