"""Real worker processes for tests: `manage.py worker` against the session's database and broker."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from django.db import connection

from console.processes import Command, spawn, stop
from tests.servers import SERVERS

ROOT = Path(__file__).resolve().parent.parent


class Worker:
    """One worker process and its log."""

    def __init__(self, process: subprocess.Popen[bytes], log_path: Path) -> None:
        self.process = process
        self.log_path = log_path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def kill(self) -> None:
        """End it as a crash would (SIGKILL) and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def terminate(self, grace_s: float = 30) -> int:
        """Ask it to drain (SIGTERM); returns its exit status."""
        return stop(self.process, grace_s=grace_s)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def wait_until_dead(self, within_s: float = 30) -> int:
        """Wait for a worker that is expected to end by itself, at a fault point say."""
        return self.process.wait(within_s)


class Workers:
    """Starts workers and ends what a test left running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Worker] = []

    def start(
        self,
        *,
        threads: int = 4,
        env: Mapping[str, str] | None = None,
        wait: bool = True,
        within_s: float = 30,
        code: Path = ROOT,
    ) -> Worker:
        """Start a worker; `env` adds settings (INTERLOCK_FAULTS, INTERLOCK_LEASE, …), `code` is another version."""
        log = self.folder / f"worker-{len(self.started) + 1}.log"
        command = Command(
            (sys.executable, "manage.py", "worker", "--threads", str(threads)),
            cwd=code,
            env={"DATABASE_URL": database_url(), **(env or {})},
        )
        worker = Worker(spawn(command, log=log), log)
        self.started.append(worker)
        if wait:
            self._await_ready(worker, within_s)
        return worker

    def stop_all(self) -> None:
        for worker in self.started:
            if worker.alive:
                with contextlib.suppress(ProcessLookupError):
                    worker.resume()
                worker.kill()

    def _await_ready(self, worker: Worker, within_s: float) -> None:
        # Celery says this when it takes messages.
        until(
            lambda: "worker_ready" in worker.log or not worker.alive, within_s=within_s, what="worker ready"
        )
        if not worker.alive:
            raise AssertionError(f"The worker ended while it started:\n{worker.log[-3000:]}")


def database_url() -> str:
    """The address of pytest-django's test database, in the form that settings.py reads."""
    return SERVERS.postgres.url(quote(connection.settings_dict["NAME"]))


def until(condition: Callable[[], object], *, within_s: float = 30, what: str = "condition") -> None:
    """Wait until `condition()` holds, looking every 20 ms.

    Raises:
        AssertionError: it did not hold in time.
    """
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"Not within {within_s:g} s: {what}")
        time.sleep(0.02)
