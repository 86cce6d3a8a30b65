"""Servers that answer rubbish: every end is a ToolError within the deadline, and never a second request."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.tools.calls import call, failing
from workflows.tools.errors import ToolError

OK = b"HTTP/1.1 200 OK\r\n"


class Raw:
    """Answers each connection with given bytes and closes it."""

    def __init__(self) -> None:
        self.answer = b""
        self.requests = 0
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self.requests += 1
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(self.answer)


@pytest.fixture
def raw() -> Iterator[Raw]:
    server = Raw()
    yield server
    server.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        OK,
        OK + b"no colon\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        OK + b"Content-Length: 10\r\n\r\nabc",
        OK + b"Transfer-Encoding: nonsense\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        OK + b"X: " + b"y" * 300_000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    ],
)
def test_what_is_no_whole_reply_leaves_the_outcome_unknown(raw: Raw, answer: bytes) -> None:
    raw.answer = answer

    error = failing(raw.url, deadline_s=2)

    assert (error.error_class, error.outcome_known) == ("connection_lost", False)
    assert raw.requests == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 \xff\r\nContent-Length: 2\r\nContent-Type: \xff/\xfe; charset=\xff\r\n\r\n\xff\x00",
        b"HTTP/1.1 500 X\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
def test_an_odd_status_is_a_known_error(raw: Raw, answer: bytes) -> None:
    raw.answer = answer

    error = failing(raw.url, deadline_s=2)

    assert (error.error_class, error.outcome_known) == ("tool_status", True)


def test_a_body_may_end_with_the_connection(raw: Raw) -> None:
    raw.answer = b"HTTP/1.0 200 OK\r\n\r\n[1, 2]"

    assert call(raw.url).body == [1, 2]


def test_broken_replies_end_in_one_family_of_errors(raw: Raw) -> None:
    whole = OK + b"Content-Type: application/json\r\nContent-Length: 9\r\nX: \xe9\r\n\r\n" + b'{"a": 12}'
    chance = random.Random(7)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        raw.answer = bytes(data[: chance.randint(1, len(data))])
        with contextlib.suppress(ToolError):
            call(raw.url, deadline_s=2)
    assert raw.requests == 150
