"""Whole installations for tests: `manage.py up` in homes of their own, and what they print."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.workers import ROOT, until

OWN = ("DATABASE_URL", "BROKER_URL", "INTERLOCK_SECRET_KEY", "INTERLOCK_ENCRYPTION_KEY", "INTERLOCK_HOME")


class Up:
    """One `manage.py up` and what it prints."""

    def __init__(self, home: Path, *arguments: str, environment: Mapping[str, str]) -> None:
        self.home = home
        ours = {name: value for name, value in os.environ.items() if name not in OWN}
        self.process = subprocess.Popen(
            [
                sys.executable,
                "manage.py",
                "up",
                "--home",
                str(home),
                "--port",
                "18800",
                "--no-demo",
                *arguments,
            ],
            cwd=ROOT,
            env={**ours, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.lines.extend(iter(self.process.stdout.readline, ""))

    @property
    def text(self) -> str:
        return "".join(self.lines)

    @property
    def runtime(self) -> dict[str, object]:
        loaded: dict[str, object] = json.loads((self.home / "runtime.json").read_text())
        return loaded

    def wait_until_up(self) -> Up:
        until(lambda: "Ctrl-C stops it" in self.text or self.process.poll() is not None, within_s=60)
        assert self.process.poll() is None, self.text
        return self

    def says(self, text: str, *, within_s: float = 20) -> None:
        until(lambda: text in self.text, within_s=within_s, what=f"{text!r} in {self.text}")

    def children(self) -> list[psutil.Process]:
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def part(self, argument: str) -> psutil.Process:
        [found] = [child for child in self.children() if argument in child.cmdline()]
        return found

    def password(self) -> str | None:
        found = re.search(r"password  (\S+)   \(shown this once", self.text)
        return found.group(1) if found else None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(120)
        self._reader.join(5)
        if self.process.stdout:
            self.process.stdout.close()
        return status


class Home:
    """A folder for one home, and every `up` that a test starts there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started: list[Up] = []

    def up(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Up:
        self.started.append(Up(self.path, *arguments, environment=environment or {}))
        return self.started[-1]
