"""A real web process for tests: `manage.py web` against the session's database and broker."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from console.embedded import free_port
from console.processes import Command, spawn, stop
from tests.workers import ROOT, database_url, until


class WebServer:
    """One web process; `url` is its address."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.log_path = folder / "web.log"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = Command(
            (sys.executable, "manage.py", "web", "--port", str(port)),
            cwd=ROOT,
            env={"DATABASE_URL": database_url(), **env},
        )
        self.process = spawn(command, log=self.log_path)
        until(self._answers, within_s=30, what=f"the web process answers; its log: {self.log_path}")

    def stop(self) -> int:
        return stop(self.process, grace_s=10)

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"The web process ended:\n{self.log_path.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:  # noqa: S310  ours
                return bool(answer.status == 200)
        except OSError:
            return False
