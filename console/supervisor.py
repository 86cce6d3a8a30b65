"""One process tree: starts parts in order, restarts what dies, stops all in order.

Knows processes, not what they are for (that is `console/installation.py`). May not import Django.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from console.processes import Command, StartError, spawn

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
# A part that has run this long was well: its next death is the first again.
_WELL_AFTER_S = 60.0
_LOG_BYTES = 10 * 2**20
_LOOK_S = 0.1


def deaths_in_a_row(before: int, *, lived_s: float) -> int:
    """Count a death: `before` it, and how long the part had run."""
    return 1 if lived_s >= _WELL_AFTER_S else before + 1


def delay_s(deaths: int) -> float:
    """Return how long to wait before starting a part again that died `deaths` times in a row."""
    doublings = min(max(deaths - 1, 0), 10)
    return min(_FIRST_DELAY_S * float(2**doublings), _LONGEST_DELAY_S)


def ending(status: int) -> str:
    """Say in words how a process ended."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


@dataclass(frozen=True)
class Part:
    """One process to keep running. `prepare` runs before every start; `rank` orders the stopping.

    With `ended` it is to end by itself: that is called with its status, and nothing is started again.
    """

    name: str
    command: Callable[[], Command]
    rank: int
    prepare: Callable[[], None] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 10
    ended: Callable[[int], None] | None = None


class Stopped(BaseException):
    """Somebody asked us to stop: Ctrl-C, SIGTERM, or the terminal was closed."""


@dataclass
class _Running:
    part: Part
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0
    deaths: int = 0
    start_at: float = 0


class Supervisor:
    """Runs parts as children. Use it in the main thread: the kernel ties children to the thread."""

    def __init__(self, logs: Path, say: Callable[[str], None]) -> None:
        self._logs = logs
        self._say = say
        self._running: list[_Running] = []

    def start(self, part: Part) -> Callable[[], bool]:
        """Start a part and keep it running from now on; returns a probe of whether it is alive.

        Raises:
            StartError: it cannot be started.
        """
        entry = _Running(part)
        self._running.append(entry)
        try:
            self._launch(entry)
        except OSError as error:
            raise StartError(f"{part.name} cannot be started: {error}") from error
        return lambda: entry.process is not None and entry.process.poll() is None

    def log_path(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def last_words(self, name: str, *, lines: int = 15) -> str:
        """Return the end of a part's log."""
        path = self.log_path(name)
        if not path.exists():
            return ""
        return "\n".join(path.read_text(errors="replace")[-8000:].splitlines()[-lines:])

    def watch(self, asked: Callable[[], bool] = lambda: False) -> None:
        """Keep the parts running until `Stopped` is raised here: by a signal, or because it was `asked` for before."""
        while True:
            if asked():
                raise Stopped
            for entry in list(self._running):
                self._look_after(entry)
            time.sleep(_LOOK_S)

    def stop(self) -> None:
        """Stop all parts, rank by rank; those of one rank together."""
        for rank in sorted({entry.part.rank for entry in self._running}):
            together = [entry for entry in self._running if entry.part.rank == rank]
            for entry in together:
                if entry.process and entry.process.poll() is None:
                    entry.process.send_signal(entry.part.stop_signal)
            for entry in together:
                self._await_end(entry)
        self._running.clear()

    def _launch(self, entry: _Running) -> None:
        log = self.log_path(entry.part.name)
        bound(log)
        if entry.part.prepare:
            entry.part.prepare()
        entry.process = spawn(entry.part.command(), log=log)
        entry.started_at = time.monotonic()

    def _look_after(self, entry: _Running) -> None:
        now = time.monotonic()
        if entry.process is None:
            if now >= entry.start_at:
                self._restart(entry)
        elif (status := entry.process.poll()) is not None and entry.part.ended:
            self._running.remove(entry)
            entry.part.ended(status)
        elif status is not None:
            entry.deaths = deaths_in_a_row(entry.deaths, lived_s=now - entry.started_at)
            wait = delay_s(entry.deaths)
            entry.process, entry.start_at = None, now + wait
            self._say(f"{entry.part.name} {ending(status)}; starting it again in {wait:g} s")
        elif now - entry.started_at > _WELL_AFTER_S:
            bound(self.log_path(entry.part.name))

    def _restart(self, entry: _Running) -> None:
        try:
            self._launch(entry)
        except (OSError, StartError) as error:  # the others go on
            entry.deaths += 1
            entry.start_at = time.monotonic() + delay_s(entry.deaths)
            self._say(
                f"{entry.part.name} cannot be started ({error}); trying again in {delay_s(entry.deaths):g} s"
            )
        else:
            self._say(f"{entry.part.name} runs again")

    def _await_end(self, entry: _Running) -> None:
        if entry.process is None:
            return
        try:
            entry.process.wait(entry.part.grace_s)
        except subprocess.TimeoutExpired:
            self._say(f"{entry.part.name} did not stop within {entry.part.grace_s:g} s: killed")
            entry.process.kill()
            entry.process.wait()


def bound(log: Path, *, max_bytes: int = _LOG_BYTES) -> None:
    """Keep a log small: move what it holds to `NAME.1.log` when it is too long, and go on in the same file.

    The part goes on writing: its file is opened for appending, so it continues at the new end.
    """
    if log.exists() and log.stat().st_size > max_bytes:
        shutil.copyfile(log, log.with_suffix(".1.log"))
        with log.open("r+b") as file:
            file.truncate(0)


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Raise `Stopped` in the main thread at the first request to stop; further ones change nothing.

    Gives a probe of whether somebody asked: where the signal meets a finalizer, Python prints what it raises there
    and goes on, so whoever runs for long has to look, too.
    """
    asked = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if not asked:
            asked = True
            raise Stopped

    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        numbers.remove(signal.SIGHUP)  # started by nohup: it shall outlive its terminal
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
