"""The pools of child processes that tools run in. Knows lines of bytes, not what they say."""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

from workflows.tools.waiting import POLL_S, READ, WRITE, Patience

# At once, in one process; further calls wait for one of them.
CHILDREN = max(2, min(8, os.cpu_count() or 2))
CALLS_PER_CHILD = 200
READY = b"ready\n"
PYTHON = "workflows.tools.child"
_ROOT = str(Path(__file__).resolve().parents[2])
# Ours alone: a tool's function has no business with them.
_PRIVATE = ("INTERLOCK_", "DATABASE_URL", "BROKER_URL")
_CHUNK = 64 * 1024


class Crashed(Exception):
    """The child is gone."""


class Oversized(Exception):
    """The child's line is longer than allowed."""


class Child:
    """One child process that runs a module, used by one thread at a time."""

    def __init__(self, module: str) -> None:
        self.calls = 0
        self.process = subprocess.Popen(
            (sys.executable, "-P", "-m", module, str(os.getpid())),
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._in, self._out = _descriptor(self.process.stdin), _descriptor(self.process.stdout)
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def exchange(self, line: bytes, *, patience: Patience, max_bytes: int) -> bytes:
        """Write a line and read the answer's. Raises: Stopped, Crashed, Oversized."""
        self.calls += 1
        rest = memoryview(line)
        while rest:
            patience.until_ready(self._in, WRITE)
            try:
                rest = rest[os.write(self._in, rest[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise Crashed(self._how(str(error))) from None
        return self.line(patience=patience, max_bytes=max_bytes)

    def line(self, *, patience: Patience, max_bytes: int) -> bytes:
        """Read one line. Raises: Stopped, Crashed, Oversized."""
        received = bytearray()
        while not received.endswith(b"\n"):
            patience.until_ready(self._out, READ)
            try:
                chunk = os.read(self._out, _CHUNK)
            except BlockingIOError:
                continue
            if not chunk:
                raise Crashed(self._how("it closed its pipe"))
            received += chunk
            if len(received) > max_bytes:
                raise Oversized
        return bytes(received)

    def kill(self) -> None:
        """End the child and what it started in its session."""
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)

    def _how(self, otherwise: str) -> str:
        try:
            status = self.process.wait(1)
        except subprocess.TimeoutExpired:
            return otherwise
        return f"signal {-status}" if status < 0 else f"exit status {status}"


class Pool:
    """At most `size` children; a thread that finds none free waits."""

    def __init__(self, module: str = PYTHON, *, size: int = CHILDREN) -> None:
        self.module, self.size = module, size
        self.reset()

    def reset(self) -> None:
        """Begin anew, without children; in a fork they are the parent's, and its locks may be held."""
        self._free: list[Child] = []
        self._room = threading.Condition()
        self._left = self.size  # children that may still be started
        self._all: set[Child] = set()
        self._wanted: queue.SimpleQueue[Future[Child]] = queue.SimpleQueue()
        self._starter: threading.Thread | None = None

    def take(self, patience: Patience) -> Child:
        """Take a free child, or start one. Raises: Stopped, Crashed."""
        with self._room:
            while not self._free and not self._left:
                self._room.wait(min(patience.slice_s(), POLL_S))
            child = self._free.pop() if self._free else None
            if child is None:
                self._left -= 1
        if child is None:
            return self._started(patience)
        if child.is_alive:
            return child
        self.discard(child)
        return self.take(patience)

    def give_back(self, child: Child) -> None:
        """Let others use a child, unless it has served its time."""
        if child.calls >= CALLS_PER_CHILD or not child.is_alive:
            return self.discard(child)
        with self._room:
            self._free.append(child)
            self._room.notify()
        return None

    def discard(self, child: Child) -> None:
        """Kill a child and make room for another."""
        child.kill()
        with self._room:
            self._all.discard(child)
            self._left += 1
            self._room.notify()

    def close(self) -> None:
        """Kill all children. Calls that still run in them end as crashed; later ones start new children."""
        with self._room:
            free, self._free = self._free, []
            busy = self._all.difference(free)
        for child in free:
            self.discard(child)
        for child in busy:
            child.process.kill()  # whoever waits for it discards it

    def _start(self) -> None:
        while True:
            wanted = self._wanted.get()
            try:
                wanted.set_result(Child(self.module))
            except Exception as error:
                wanted.set_exception(error)

    def _started(self, patience: Patience) -> Child:
        wanted: Future[Child] = Future()
        self._wanted.put(wanted)
        with self._room:
            if self._starter is None:
                # The kernel ends a child with the *thread* that started it: this one lasts as long as we do.
                self._starter = threading.Thread(target=self._start, name="tool-children", daemon=True)
                self._starter.start()
        try:
            child = wanted.result()
        except Exception as error:
            with self._room:
                self._left += 1
                self._room.notify()
            raise Crashed(str(error)) from error
        with self._room:
            self._all.add(child)
        try:
            if child.line(patience=patience, max_bytes=_CHUNK) != READY:
                raise Crashed("it did not say that it was ready")
        except BaseException:
            self.discard(child)
            raise
        return child


def _descriptor(pipe: object) -> int:
    return pipe.fileno()  # type: ignore[attr-defined, no-any-return]


def _environment() -> dict[str, str]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith(_PRIVATE)}
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys((_ROOT, *filter(None, sys.path))))
    return environment


def shared(module: str, *, size: int = CHILDREN) -> Pool:
    """A pool for all threads of this process: it ends with the process, and a fork begins one anew."""
    pool = Pool(module, size=size)
    atexit.register(pool.close)
    os.register_at_fork(after_in_child=pool.reset)
    return pool


# This process's own. It starts nothing before the first call.
POOL = shared(PYTHON)
