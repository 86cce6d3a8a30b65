"""Child processes that cannot outlive us. Knows nothing of what runs in them, of settings or of Django."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec nothing may take a lock.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class StartError(Exception):
    """A process cannot be prepared or started; the message says what to do."""


@dataclass(frozen=True)
class Command:
    """What to start. `user`: (user id, group id) to become; `if_orphaned`: what it gets when we die."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    user: tuple[int, int] | None = None
    stdin: Path | None = None
    if_orphaned: signal.Signals = signal.SIGKILL


def spawn(command: Command, *, log: Path, answers: bool = False) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own (Ctrl-C reaches only us), its output appended to `log`.

    With `answers`, standard output comes back by a pipe instead, and only errors go to `log`.

    Call it from the main thread: the kernel ties a child's life to the thread that made it.
    """
    uid, gid = command.user or (None, None)
    with (
        log.open("ab") as output,
        (command.stdin or Path(os.devnull)).open("rb") as stdin,
    ):
        return subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env={**os.environ, **command.env},
            stdin=stdin,
            stdout=subprocess.PIPE if answers else output,
            stderr=output,
            start_new_session=True,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            preexec_fn=_tied_to(os.getpid(), command.if_orphaned),
        )


def _tied_to(parent: int, last_signal: signal.Signals) -> Callable[[], None]:
    """Return what runs in the child before exec: ask the kernel to signal it when `parent` is gone."""

    def tie() -> None:
        if _libc is None:
            return  # no such thing outside Linux: there, a supervisor that is killed leaves its children
        _libc.prctl(_PR_SET_PDEATHSIG, int(last_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # the parent died before the request was made

    return tie


def stop(
    process: subprocess.Popen[bytes], *, first: signal.Signals = signal.SIGTERM, grace_s: float = 5
) -> int:
    """Ask a child to end, wait up to `grace_s` seconds, then kill it. Returns its exit status."""
    if process.poll() is not None:
        return process.returncode
    process.send_signal(first)
    try:
        return process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
