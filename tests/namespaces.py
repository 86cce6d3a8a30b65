"""Hosts for tests: network namespaces with two cables each, one to the database and one to the broker.

A cable can be pulled and plugged in again: packets are lost, nobody is told. Wants the rights of root.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

CABLES: Final = ("database", "broker")


def allowed() -> bool:
    """Say whether this machine lets us make namespaces and cables."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"il{secrets.token_hex(3)}"
    with _network(fcntl.LOCK_EX):
        made = _ip("netns", "add", name, check=False)
        cabled = made and _ip(
            "link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", check=False
        )
        _ip("link", "del", f"{name}a", check=False)
        _ip("netns", "del", name, check=False)
    return bool(cabled)


class Host:
    """One namespace. `number` (0 to 249) gives it addresses of its own."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"ilhost{number}"

    def address(self, cable: str) -> str:
        """Return our end of a cable, as the host sees it."""
        return f"10.{213 + CABLES.index(cable)}.{self.number}.1"

    def _end(self, cable: str) -> str:
        return f"il{cable[0]}{self.number}"

    def make(self) -> None:
        _ip("netns", "add", self.name)
        _ip("-n", self.name, "link", "set", "lo", "up")
        for cable in CABLES:
            ours, theirs = self._end(cable), f"{self._end(cable)}x"
            _ip("link", "add", ours, "type", "veth", "peer", "name", theirs)
            _ip("link", "set", theirs, "netns", self.name)
            _ip("addr", "add", f"{self.address(cable)}/24", "dev", ours)
            _ip("link", "set", ours, "up")
            _ip("-n", self.name, "addr", "add", f"{self.address(cable)[:-1]}2/24", "dev", theirs)
            _ip("-n", self.name, "link", "set", theirs, "up")

    def remove(self) -> None:
        for cable in CABLES:
            _ip("link", "del", self._end(cable), check=False)
        _ip("netns", "del", self.name, check=False)

    def pull(self, cable: str) -> None:
        """Cut the host off at the far end: what it sends goes nowhere, and nothing says so."""
        _ip("-n", self.name, "link", "set", f"{self._end(cable)}x", "down")

    def plug_in(self, cable: str) -> None:
        _ip("-n", self.name, "link", "set", f"{self._end(cable)}x", "up")

    def command(self, *argv: str) -> tuple[str, ...]:
        """Return a command line that runs in this host."""
        return ("ip", "netns", "exec", self.name, *argv)


def _ip(*words: str, check: bool = True) -> bool:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.returncode == 0


class Forwarder:
    """Listens on an address and passes every connection on: to a port of this machine, or a socket in a folder."""

    def __init__(self, listen: str, target: tuple[str, int] | Path) -> None:
        self.target = target
        self.server = socket.create_server((listen, 0))
        self.port = int(self.server.getsockname()[1])
        self.open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Hang up on everybody: who is behind a pulled cable would never do it."""
        self.server.close()
        for each in tuple(self.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.server.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError), near, self._dial() as far:
            self.open |= {near, far}
            back = threading.Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)
            back.join()
            self.open -= {near, far}

    def _dial(self) -> socket.socket:
        if isinstance(self.target, Path):
            far = socket.socket(socket.AF_UNIX)
            far.connect(str(self.target))
            return far
        return socket.create_connection(self.target)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """Make hosts for a while. Browsers wait meanwhile: they drop what they load when this machine's network changes."""
    # Others on this machine may have hosts of their own at the same time.
    made = [Host(number) for number in random.sample(range(250), count)]
    undo: list[Callable[[], None]] = []
    with _network(fcntl.LOCK_EX):
        try:
            for host in made:
                undo.append(host.remove)
                host.make()
            yield made
        finally:
            for step in undo:
                step()


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Hold off those who would change this machine's network."""
    with _network(fcntl.LOCK_SH):
        yield


@contextlib.contextmanager
def _network(hold: int) -> Iterator[None]:
    """Hold the lock on the network, shared or alone, against every process of this person's tests."""
    with (Path(tempfile.gettempdir()) / f"interlock-network-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, hold)
        yield
