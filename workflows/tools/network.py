"""The connection of one tool call: guarded, fresh, bounded in time, and marked before its first byte.

It knows sockets and addresses, not tools. httpcore2 speaks HTTP over the streams made here. It reads no
proxy settings: a proxy would connect where the guard cannot look.
"""

from __future__ import annotations

import errno
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import httpcore2

from workflows.tools import guard, hosts
from workflows.tools.errors import LeaseLost
from workflows.tools.guard import Address, Allowed
from workflows.tools.waiting import READ, WRITE, Patience

T = TypeVar("T")


@dataclass(kw_only=True)
class Passage:
    """One call on its way: what bounds it, and how far it came."""

    patience: Patience
    allowed: Allowed
    sending: Callable[[], bool]
    marked: bool = False
    sent: bool = False  # from here on the other side may have got it
    started_at: float = field(default_factory=time.monotonic)
    sent_at: float | None = None
    first_byte_at: float | None = None

    def mark(self) -> None:
        """Ask, once, before the first byte, whether the call may still be sent.

        Raises: LeaseLost, Stopped.
        """
        if not self.marked:
            self.patience.slice_s()
            if not self.sending():
                raise LeaseLost("The lease of the step is lost: the tool was not called.")
            self.marked = True
            self.sent_at = time.monotonic()
        self.patience.slice_s()
        self.sent = True


class Backend(httpcore2.NetworkBackend):
    """Resolves, checks every address, and connects to a checked address itself, never to a name."""

    def __init__(self, passage: Passage) -> None:
        self.passage = passage

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        passage = self.passage
        found = resolve(host, port, patience=passage.patience)
        addresses = guard.permitted(host, found, port=port, allowed=passage.allowed)
        for number, address in enumerate(addresses):
            left_s = passage.patience.ends_at - time.monotonic()
            try:
                until = time.monotonic() + left_s / (len(addresses) - number)
                return Stream(_connected(address, port, passage.patience, ends_at=until), passage)
            except OSError as error:
                failure = error
        raise httpcore2.ConnectError(str(failure)) from failure


class Stream(httpcore2.NetworkStream):
    """A connected, non-blocking socket whose every wait is bounded."""

    def __init__(self, sock: socket.socket, passage: Passage) -> None:
        self._socket = sock
        self._passage = passage

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            data = self._ready(lambda: self._socket.recv(max_bytes), READ)
        except OSError as error:
            raise httpcore2.ReadError(str(error)) from error
        if data and self._passage.first_byte_at is None:
            self._passage.first_byte_at = time.monotonic()
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        while rest:
            self._passage.mark()
            try:
                rest = rest[self._ready(lambda: self._socket.send(rest), WRITE) :]  # noqa: B023
            except OSError as error:
                raise httpcore2.WriteError(str(error)) from error

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            secure = ssl_context.wrap_socket(
                self._socket, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            self._socket = secure
            self._ready(secure.do_handshake, READ)
        except OSError as error:
            self.close()
            raise httpcore2.ConnectError(str(error)) from error
        except BaseException:
            self.close()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        is_secure = isinstance(self._socket, ssl.SSLSocket)
        return self._socket if info == "ssl_object" and is_secure else None

    def _ready(self, attempt: Callable[[], T], events: int) -> T:
        """Try until it does not block any more. Raises: Stopped, OSError."""
        while True:
            try:
                return attempt()
            except BlockingIOError:
                wanted = events
            except ssl.SSLWantReadError:
                wanted = READ
            except ssl.SSLWantWriteError:
                wanted = WRITE
            self._passage.patience.until_ready(self._socket.fileno(), wanted)


def resolve(host: str, port: int, *, patience: Patience) -> tuple[Address, ...]:
    """The addresses of a host in normal form. Raises: httpcore2.ConnectError, Stopped."""
    literal = hosts.literal(host)
    if literal is not None:
        return (literal,)
    answers: queue.SimpleQueue[list[Any] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))

    # The system's resolver can neither be bounded nor stopped; a thread that waits for it can be left behind.
    threading.Thread(target=ask, name="resolve", daemon=True).start()
    while True:
        try:
            answer = answers.get(timeout=patience.slice_s())
            break
        except queue.Empty:
            continue
    if isinstance(answer, OSError):
        raise httpcore2.ConnectError(f"{host} cannot be resolved ({answer.strerror or answer})")
    found = (hosts.literal(str(entry[4][0]).partition("%")[0]) for entry in answer)
    return tuple(dict.fromkeys(address for address in found if address is not None))


@cache
def tls() -> ssl.SSLContext:
    """The trusted certificates of this machine, loaded once."""
    return httpcore2.default_ssl_context()


def _connected(address: Address, port: int, patience: Patience, *, ends_at: float) -> socket.socket:
    """Raises: OSError, Stopped."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock.connect((str(address), port))
        except BlockingIOError:
            if not patience.until_ready(sock.fileno(), WRITE, ends_at=ends_at):
                raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
            if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code)) from None
    except BaseException:
        sock.close()
        raise
    return sock
