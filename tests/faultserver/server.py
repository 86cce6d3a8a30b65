"""The server: connections, requests, and what a fault does with its end of one."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(kw_only=True)
class Seen:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: Any
    connection: int

    @property
    def fault(self) -> str:
        return self.path.split("/")[1]

    @property
    def format(self) -> str:
        return "anthropic" if self.path.endswith("/messages") else "openai"


@dataclass(kw_only=True)
class Wire:
    """The server's end of one connection."""

    sock: socket.socket
    request: Seen
    stopped: threading.Event

    def raw(self, data: bytes) -> None:
        self.sock.sendall(data)

    def head(self, status: int = 200, *, content_type: str = "text/event-stream", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {content_type}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.raw("\r\n".join([*lines, "", ""]).encode())

    def stream_head(self) -> None:
        self.head(Transfer_Encoding="chunked", X_Request_Id="req_1")

    def chunk(self, data: bytes) -> None:
        self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> None:
        self.raw(b"0\r\n\r\n")

    def document(self, body: Any, *, status: int = 200, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        content_type = headers.pop("content_type", "application/json")
        self.head(status, content_type=content_type, Content_Length=str(len(data)), **headers)
        self.raw(data)

    def events(self, events: list[bytes]) -> None:
        self.stream_head()
        for event in events:
            self.chunk(event)
        self.end()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def hang(self) -> None:
        self.stopped.wait(60)


Fault = Callable[[Wire], None]
FAULTS: dict[str, Fault] = {}


def fault(function: Fault) -> Fault:
    FAULTS[function.__name__] = function
    return function


def _status(wire: Wire, status: int) -> None:
    wire.document({"error": {"message": f"this is a {status}", "type": "whatever"}}, status=status)


@dataclass(kw_only=True)
class FaultServer:
    """Listens on loopback until closed; `seen` holds every request."""

    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)
    _open: set[socket.socket] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        self._listener.close()
        for sock in list(self._open):
            sock.close()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        buffer = b""
        try:
            while not self._stopped.is_set():
                request, buffer = _read_request(sock, buffer, number)
                if request is None:
                    break
                self.seen.append(request)
                wire = Wire(sock=sock, request=request, stopped=self._stopped)
                if request.fault.isdigit():
                    _status(wire, int(request.fault))
                else:
                    FAULTS[request.fault](wire)
        except OSError:
            pass
        finally:
            self._open.discard(sock)
            sock.close()


def _read_request(sock: socket.socket, buffer: bytes, number: int) -> tuple[Seen | None, bytes]:
    while b"\r\n\r\n" not in buffer:
        data = sock.recv(65536)
        if not data:
            return None, b""
        buffer += data
    head, _, buffer = buffer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    size = int(headers.get("content-length", 0))
    while len(buffer) < size:
        buffer += sock.recv(65536)
    body = json.loads(buffer[:size]) if size else None
    return Seen(path=first.split(" ")[1], headers=headers, body=body, connection=number), buffer[size:]
