"""Sockets that keep a call's time: no read, write, connect or look-up outlasts it, however a server drips.

httpx2's own time-outs hold for one socket operation each, and for name look-ups not at all; so its transport
gets these streams instead, which know the time of the call that their thread makes. Knows no HTTP.
"""

from __future__ import annotations

import atexit
import ipaddress
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeAlias

import httpcore2
import httpx2

from providers.deadlines import CallTime
from providers.errors import ProviderError

# As many calls at once as the largest worker has threads, to one address.
_CONNECTIONS = 1024
KEPT_ALIVE = 64
_KEPT_ALIVE_S = 20.0
_Address: TypeAlias = tuple[int, int, int, str, Any]

_thread = threading.local()
_transports: dict[str, Transport] = {}
_transports_lock = threading.Lock()


def transport(origin: str) -> Transport:
    """This process' one pool of connections for an origin (`https://host:port`), for every thread."""
    with _transports_lock:
        if origin not in _transports:
            _transports[origin] = Transport()
        return _transports[origin]


def _forget_transports() -> None:
    """A forked child must not write to its parent's sockets."""
    global _transports_lock
    _transports.clear()
    _transports_lock = threading.Lock()


def close() -> None:
    """Close every connection of this process; the next call opens new ones."""
    with _transports_lock:
        for pool in _transports.values():
            pool.close()
        _transports.clear()


os.register_at_fork(after_in_child=_forget_transports)
atexit.register(close)


@contextmanager
def timed(call_time: CallTime) -> Iterator[None]:
    """Everything that this thread does on the network meanwhile keeps the time of this call."""
    _thread.time = call_time
    try:
        yield
    finally:
        del _thread.time


class Transport(httpx2.BaseTransport):
    """HTTP/1.1 over our streams: kept alive, bounded, without redirects, cookies and proxies."""

    def __init__(self) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=_tls(),
            max_connections=_CONNECTIONS,
            max_keepalive_connections=KEPT_ALIVE,
            keepalive_expiry=_KEPT_ALIVE_S,
            network_backend=_Network(),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        answer = self._pool.handle_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream),
            request=request,
        )

    def close(self) -> None:
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _Network(httpcore2.NetworkBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        call_time: CallTime = _thread.time
        until = call_time.enter("connect")
        addresses = _resolved(host, port, call_time=call_time, until=until)
        problem: OSError = OSError("no address")
        for position, address in enumerate(addresses):
            left_s = _left_s(call_time, until)
            # An address that swallows packets must not use up the time of the next one.
            share_s = left_s / (len(addresses) - position)
            try:
                return _Stream(_connected(address, timeout_s=share_s))
            except OSError as error:
                problem = error
        _left_s(call_time, until)
        raise ProviderError(
            f"No connection to {host}:{port}: {_reason(problem)}.", error_class="connect", phase="connect"
        )


class StaleConnectionError(Exception):
    """The server had closed a kept connection before it saw the request: to be sent again on another."""


class _Stream(httpcore2.NetworkStream):
    """A socket whose every wait ends with the call."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._wait_s = -1.0
        self._has_served = False
        self._is_answered = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        call_time: CallTime = _thread.time
        until = call_time.enter("body" if call_time.phase == "body" else "first_byte")
        while True:
            self._wait(call_time.slice_s(until))
            try:
                data = self._socket.recv(max_bytes)
            except TimeoutError:
                continue
            except OSError as error:
                self._check_stale()
                raise _broken(call_time, error) from error
            if not data:
                self._check_stale()
            self._has_served = self._is_answered = True
            return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        call_time: CallTime = _thread.time
        until = call_time.enter("write")
        self._is_answered = False
        view = memoryview(buffer)
        while view:
            self._wait(call_time.slice_s(until))
            try:
                view = view[self._socket.send(view) :]
            except TimeoutError:
                continue
            except OSError as error:
                # A server may refuse early and hang up; httpcore2 then reads what it said.
                raise httpcore2.WriteError(str(error)) from error

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        call_time: CallTime = _thread.time
        until = call_time.enter("connect")
        self._socket.settimeout(_left_s(call_time, until))
        try:
            return _Stream(ssl_context.wrap_socket(self._socket, server_hostname=server_hostname))
        except TimeoutError:
            self.close()
            raise call_time.over() from None
        except OSError as error:
            self.close()
            raise ProviderError(
                f"No secure connection to {server_hostname}: {_reason(error)}.",
                error_class="connect",
                phase="connect",
            ) from error

    def close(self) -> None:
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return _is_readable(self._socket)
        if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket):
            return self._socket
        return None

    def _check_stale(self) -> None:
        """Raises: StaleConnectionError where an earlier answer came, and of this one not a byte."""
        if self._has_served and not self._is_answered:
            raise StaleConnectionError

    def _wait(self, wait_s: float) -> None:
        """Set the time-out of the next operation, but for a system call that would change nothing."""
        if wait_s != self._wait_s:
            self._socket.settimeout(wait_s)
            self._wait_s = wait_s


def _connected(address: _Address, *, timeout_s: float) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(where)
    except BaseException:
        sock.close()
        raise
    return sock


def _resolved(host: str, port: int, *, call_time: CallTime, until: float) -> list[_Address]:
    """The addresses of a host. A look-up cannot be interrupted, so a thread of its own does it."""
    if _is_address(host):
        return _looked_up(host, port)
    found: list[list[_Address] | OSError] = []
    done = threading.Event()

    def look_up() -> None:
        try:
            found.append(_looked_up(host, port))
        except OSError as error:
            found.append(error)
        done.set()

    threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    while not done.wait(call_time.slice_s(until)):
        continue
    result = found[0]
    if isinstance(result, OSError):
        raise ProviderError(
            f"The host {host} has no address: {_reason(result)}.", error_class="connect", phase="connect"
        )
    return result


def _looked_up(host: str, port: int) -> list[_Address]:
    try:
        return [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except UnicodeError as error:
        raise OSError(f"{host!r} is no host name") from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _left_s(call_time: CallTime, until: float) -> float:
    """Seconds for something that cannot be interrupted. Raises: ProviderError when there are none."""
    call_time.slice_s(until)
    return max(until - time.monotonic(), 0.001)


def _broken(call_time: CallTime, error: OSError) -> ProviderError:
    if call_time.phase == "body":
        return ProviderError(
            f"The connection broke within the answer: {_reason(error)}.",
            error_class="stream_truncated",
            phase="body",
        )
    return ProviderError(
        f"The connection broke before an answer began: {_reason(error)}.",
        error_class="connect",
        phase=call_time.phase,
    )


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror or str(error) or type(error).__name__).rstrip(".")


def _is_readable(sock: socket.socket) -> bool:
    """Whether an idle connection has something to read, which can only be its end."""
    if sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


@cache
def _tls() -> ssl.SSLContext:
    """One for all: loading the certificates takes longer than a call."""
    return httpcore2.default_ssl_context()
