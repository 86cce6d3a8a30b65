"""A RabbitMQ node of its own for the tests, where the machine has one: no service, no fixed port, nothing left."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

import amqp

from console.processes import Command, spawn, stop
from tests.ports import lasting_port

# Where Debian's package puts it; the program of that name on the path changes the user.
PROGRAM: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_S: Final = 60.0


def is_installed() -> bool:
    return PROGRAM.exists()


class RabbitMq:
    """One node. Its messages are in memory and on disk as in production: a queue that is durable survives `kill`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="interlock-rabbitmq-"))
        self.port = lasting_port()
        self.epmd_port = lasting_port()
        self.name = f"interlock{secrets.token_hex(3)}@localhost"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    @property
    def log(self) -> Path:
        return self.folder / "output.log"

    def start(self) -> None:
        """Start it, or start it again after it was killed, with what was on its disk."""
        (self.folder / "enabled_plugins").write_text("[].\n")
        env = {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(lasting_port()),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none.env"),
            "ERL_EPMD_PORT": str(self.epmd_port),
        }
        self.process = spawn(Command((str(PROGRAM),), cwd=self.folder, env=env), log=self.log)
        self._await_ready()

    def kill(self) -> None:
        """End it as a crash would, the virtual machine below the script too."""
        assert self.process is not None
        os.killpg(self.process.pid, 9)
        self.process.wait()
        self.process = None

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process, grace_s=15)
            self.process = None
        with_epmd = {**os.environ, "ERL_EPMD_PORT": str(self.epmd_port)}
        subprocess.run(["epmd", "-kill"], env=with_epmd, capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def waiting(self, queue: str = "interlock") -> int:
        """Return how many messages wait in a queue."""
        with amqp.Connection(f"127.0.0.1:{self.port}", connect_timeout=5) as connection:
            declared = connection.channel().queue_declare(queue, durable=True, auto_delete=False)
            assert declared is not None  # so only where no answer is waited for
            return int(declared[1])

    def purge(self, queue: str = "interlock") -> None:
        """Lose every message that waits."""
        with amqp.Connection(f"127.0.0.1:{self.port}", connect_timeout=5) as connection:
            channel = connection.channel()
            channel.queue_declare(queue, durable=True, auto_delete=False)
            channel.queue_purge(queue)

    def _await_ready(self) -> None:
        until = time.monotonic() + START_S
        while True:
            assert self.process is not None
            try:
                with amqp.Connection(f"127.0.0.1:{self.port}", connect_timeout=2):
                    return
            except (OSError, amqp.AMQPError):
                gone = self.process.poll() is not None
                if gone or time.monotonic() > until:
                    raise AssertionError(f"RabbitMQ did not start:\n{self.log.read_text()[-2000:]}") from None
                time.sleep(0.2)
