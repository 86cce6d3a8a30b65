"""One Postgres and one Valkey per pytest session, started only when a selected test needs them.

Loaded by `-p tests.servers` before Django's settings are. May not import Django.

INTERLOCK_TEST_FSYNC=1 runs Postgres with fsync, as in production.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import redis

from console.embedded import Postgres, Valkey
from console.home import throwaway_secrets
from console.processes import spawn, stop
from tests.ports import lasting_port

_UNIT = Path(__file__).parent / "unit"
# Without fsync, but commits reach the operating system: killing Postgres loses nothing, as in production.
# Without autovacuum: when it looks at a table of a test is chance, and so would be the plans that follow.
_SPEED = {
    "fsync": "off",
    "autovacuum": "off",
    "full_page_writes": "off",
    "io_method": "sync",
    "shared_buffers": "128MB",
    # Tests make the tables anew that they wrote to, and what recovers from a crash does all of it once more: not a
    # whole run's worth.
    "checkpoint_timeout": "30s",
    "log_checkpoints": "off",
    "idle_in_transaction_session_timeout": "0",
}


class Servers:
    """The session's servers. Addresses are known, and in the environment, before anything runs."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="interlock-test-"))
        self.logs = self.home / "logs"
        self.logs.mkdir()
        durable = os.environ.get("INTERLOCK_TEST_FSYNC") == "1"
        self.postgres = Postgres(self.home / "postgres", secrets.token_hex(8), {} if durable else _SPEED)
        self.valkey = Valkey(self.home / "valkey", secrets.token_hex(8), lasting_port())
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.started = False
        for name in [name for name in os.environ if name.startswith("INTERLOCK_")]:
            del os.environ[name]  # tests set what they need; a developer's own settings would colour them
        os.environ |= {
            "INTERLOCK_HOME": str(self.home),
            **throwaway_secrets(),
            "DATABASE_URL": self.postgres.url(),
            "BROKER_URL": self.valkey.url(),
        }

    def start(self) -> None:
        self.started = True
        self.start_valkey()
        self.start_postgres()

    def start_postgres(self) -> None:
        """Start Postgres, or start it again after a test killed it."""
        self._start("postgres", self.postgres)

    def start_valkey(self) -> None:
        """Start Valkey, or start it again, empty, after a test killed it."""
        self._start("valkey", self.valkey)

    def flush_valkey(self) -> None:
        """Lose every message that waits."""
        with redis.Redis.from_url(self.valkey.url()) as client:
            client.flushall()

    def kill(self, name: str) -> None:
        """End `postgres` or `valkey` as a crash would."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def mend(self) -> bool:
        """Start again what a test left dead; returns whether there was something."""
        starts = {"postgres": self.start_postgres, "valkey": self.start_valkey}
        dead = [name for name in starts if not self._runs(name)] if self.started else []
        for name in dead:
            starts[name]()
        return bool(dead)

    def _runs(self, name: str) -> bool:
        return name in self.processes and self.processes[name].poll() is None

    def stop(self) -> None:
        self.started = False
        while self.processes:
            _, process = self.processes.popitem()
            stop(process, first=signal.SIGINT, grace_s=10)
        self.postgres.clear()
        shutil.rmtree(self.home, ignore_errors=True)

    def _start(self, name: str, server: Postgres | Valkey) -> None:
        server.prepare()
        log = self.logs / f"{name}.log"
        process = self.processes[name] = spawn(server.command(), log=log)
        try:
            server.wait_until_ready(alive=lambda: process.poll() is None)
        except Exception:
            sys.stderr.write(log.read_text()[-2000:])
            raise


SERVERS = Servers()


def pytest_collection_finish(session: pytest.Session) -> None:
    needed = any(_UNIT not in item.path.parents for item in session.items)
    if needed and not session.config.option.collectonly and not SERVERS.processes:
        SERVERS.start()


def pytest_unconfigure() -> None:
    SERVERS.stop()
