"""A witness: a server that writes down every call it gets and answers as it is told.

It proves from outside what a run did: how often a tool was called, when, with which key. In a test:

    with Witness() as witness:
        witness.behave("/refunds", Behaviour(status=500), Behaviour(delay_s=1))
        ... call witness.url("/refunds") ...
        assert witness.repeated() == {}

As a process of its own (the port is its first line of output): `python -m tests.witness --port 0 --log FILE`.
Then calls are read from the file or from `GET /_witness/calls`, and behaviours set with
`POST /_witness/behave` and the JSON `{"path": ..., "behaviours": [{...}]}`. May not import the project.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, Self

FAULTS = (
    "drop",  # read the request, then close without a reply
    "drop_unread",  # read the headers only, then close
    "hang",  # read the request and never reply
    "reset",  # read the request, then reset the connection
    "reset_mid_body",  # half of the body, then a reset
    "truncate",  # half of the body, then an orderly end
    "hang_mid_body",  # half of the body, then nothing
    "drip",  # one byte of the body every 50 ms
    "garbage",  # something that is not HTTP
)


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What a path does to one call. `body`: text as it is, anything else as JSON."""

    status: int = 200
    body: Any = field(default_factory=lambda: {"ok": True})
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0
    fault: str | None = None


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request that arrived. Times are this machine's monotonic clock, in seconds."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: str
    complete: bool  # False: the connection broke before the whole body had come
    connected_at: float
    first_byte_at: float
    at: float
    behaviour: str

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Witness:
    """The server, in threads of this process; a context manager."""

    def __init__(self, *, port: int = 0, log: Path | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.scheme = "https" if tls else "http"
        self.connections = 0
        self._calls: list[Call] = []
        self._behaviours: dict[str, list[Behaviour]] = {}
        self._lock = threading.Lock()
        self._log: IO[str] | None = log.open("a") if log else None
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), self)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        if self._log:
            self._log.close()

    def url(self, path: str = "/", *, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def behave(self, path: str, *behaviours: Behaviour) -> None:
        """Say what a path does: one behaviour a call; the last stays. The path `*` stands for all others."""
        with self._lock:
            self._behaviours[path] = list(behaviours)

    def forget(self) -> None:
        """Be as if new, but for the port."""
        with self._lock:
            self.connections = 0
            self._calls.clear()
            self._behaviours.clear()

    @property
    def calls(self) -> tuple[Call, ...]:
        with self._lock:
            return tuple(self._calls)

    def of(self, path: str) -> tuple[Call, ...]:
        return tuple(call for call in self.calls if call.path.partition("?")[0] == path)

    def repeated(self) -> dict[str, int]:
        """The idempotency keys that were seen more than once, and how often."""
        return {key: count for key, count in Counter(call.key for call in self.calls).items() if count > 1}

    def wait_for(self, count: int, *, timeout_s: float = 5) -> None:
        """Wait until that many calls have arrived."""
        ends_at = time.monotonic() + timeout_s
        while len(self.calls) < count:
            if time.monotonic() > ends_at:
                raise AssertionError(f"{len(self.calls)} of {count} calls came within {timeout_s} s")
            time.sleep(0.01)

    def next(self, path: str) -> Behaviour:
        with self._lock:
            planned = self._behaviours.get(path) or self._behaviours.get("*") or [Behaviour()]
            return planned.pop(0) if len(planned) > 1 else planned[0]

    def note(self, call: Call) -> None:
        """Write a call down, before anything is answered."""
        with self._lock:
            self._calls.append(call)
            if self._log:
                self._log.write(json.dumps(asdict(call)) + "\n")
                self._log.flush()


def read_log(path: Path) -> tuple[Call, ...]:
    """The calls of a log file; a last line that is half written is left out."""
    lines = path.read_text().split("\n")[:-1]
    return tuple(Call(**json.loads(line)) for line in lines)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address: tuple[str, int], witness: Witness) -> None:
        self.witness = witness
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are what we are for."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        self.connected_at = time.monotonic()
        self.server.witness.connections += 1
        if self.server.witness.tls:
            self.request = self.server.witness.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def handle_one_request(self) -> None:
        with contextlib.suppress(OSError):
            if not self.rfile.peek(1):  # type: ignore[attr-defined]
                self.close_connection = True
                return
            self.first_byte_at = time.monotonic()
            super().handle_one_request()
            return
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None: ...

    def parse_request(self) -> bool:
        """Serve every method by one function."""
        if super().parse_request():
            setattr(self, f"do_{self.command}", self._serve)
            return True
        return False

    def _serve(self) -> None:
        witness, path = self.server.witness, self.path.partition("?")[0]
        if path.startswith("/_witness/"):
            return self._control(path)
        behaviour = witness.next(path)
        body, complete = (b"", False) if behaviour.fault == "drop_unread" else self._body()
        witness.note(
            Call(
                method=self.command,
                path=self.path,
                headers={name.lower(): text for name, text in self.headers.items()},
                body=body.decode("utf-8", "replace"),
                complete=complete,
                connected_at=self.connected_at,
                first_byte_at=self.first_byte_at,
                at=time.monotonic(),
                behaviour=behaviour.fault or str(behaviour.status),
            )
        )
        witness.closing.wait(behaviour.delay_s)
        return self._reply(behaviour)

    def _body(self) -> tuple[bytes, bool]:
        length = int(self.headers.get("Content-Length") or 0)
        body = b""
        with contextlib.suppress(OSError):
            body = self.rfile.read(length)
        return body, len(body) == length

    def _reply(self, behaviour: Behaviour) -> None:
        fault = behaviour.fault
        body = behaviour.body
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        if fault is not None:
            self.close_connection = True
        if fault in {"drop", "drop_unread"}:
            return
        if fault == "hang":
            self.server.witness.closing.wait()
        elif fault == "reset":
            self._reset()
        elif fault == "garbage":
            self.wfile.write(b"what is this\r\n\r\n" * 4)
        else:
            self._head(behaviour, data)
            self._send(data, fault)

    def _head(self, behaviour: Behaviour, data: bytes) -> None:
        self.send_response(behaviour.status)
        names = {name.lower() for name in behaviour.headers}
        if "content-type" not in names and not isinstance(behaviour.body, str):
            self.send_header("Content-Type", "application/json")
        if not names & {"content-length", "transfer-encoding"}:
            self.send_header("Content-Length", str(len(data)))
        for name, text in behaviour.headers.items():
            self.send_header(name, text)
        self.end_headers()

    def _send(self, data: bytes, fault: str | None) -> None:
        half = data[: len(data) // 2]
        if self.command == "HEAD":
            return
        if fault == "drip":
            for byte in data:
                self.wfile.write(bytes([byte]))
                if self.server.witness.closing.wait(0.05):
                    return
            return
        self.wfile.write(half if fault else data)
        if fault == "reset_mid_body":
            self._reset()
        elif fault == "hang_mid_body":
            self.server.witness.closing.wait()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.05)  # a reset takes along what was not read yet
        for each in (self.rfile, self.wfile, self.connection):
            each.close()

    def _control(self, path: str) -> None:
        if path == "/_witness/behave":
            wanted = json.loads(self._body()[0])
            self.server.witness.behave(wanted["path"], *(Behaviour(**each) for each in wanted["behaviours"]))
        answer = Behaviour(body=[asdict(call) for call in self.server.witness.calls])
        self._reply(answer)


def main() -> None:
    """Serve until stopped, once the port is told."""
    parser = argparse.ArgumentParser(description="A server that writes down every call it gets.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    with Witness(port=options.port, log=options.log) as witness, contextlib.suppress(KeyboardInterrupt):
        print(witness.port, flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main()
