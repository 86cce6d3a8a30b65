"""A provider that misbehaves on request: OpenAI's and Anthropic's formats over raw sockets, with every fault.

The first segment of the path names the fault, so one server serves all tests at once without any state:
`http://127.0.0.1:PORT/drip_body/v1`. Test code only; nothing of the product imports it.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from typing import Any, Self

TEXT = ("Hello", " there,", " how are", " you?")


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


def sse(data: Any, *, name: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def openai_chunk(**choice: Any) -> dict[str, Any]:
    body = {"index": 0, "delta": {}, "finish_reason": None, **choice}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m-2026", "choices": [body]}


def openai_events(
    *, finish: str | None = "stop", usage: Any = None, done: bool = True, **delta: Any
) -> list[bytes]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": t} for t in TEXT)]
    events = [sse(openai_chunk(delta=piece)) for piece in ([delta] if delta else deltas)]
    if finish is not None:
        events.append(sse(openai_chunk(finish_reason=finish)))
    counts = {
        "prompt_tokens": 12,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    if usage != "none":
        events.append(sse({"id": "c1", "model": "m-2026", "choices": [], "usage": usage or counts}))
    return [*events, b"data: [DONE]\n\n"] if done else events


def openai_document(**choice: Any) -> dict[str, Any]:
    body = {"index": 0, "message": {"role": "assistant", "content": "".join(TEXT)}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 12, "completion_tokens": 5}
    return {"id": "c1", "model": "m-2026", "choices": [{**body, **choice}], "usage": usage}


def anthropic_event(kind: str, **body: Any) -> bytes:
    return sse({"type": kind, **body}, name=kind)


def anthropic_events(
    *, stop: str | None = "end_turn", usage: Any = None, done: bool = True, blocks: Any = None
) -> list[bytes]:
    counts = {
        "input_tokens": 8,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 0,
        "output_tokens": 1,
    }
    begin = None if usage == "none" else usage or counts
    start: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-2026",
        "content": [],
        "usage": begin,
    }
    events = [anthropic_event("message_start", message=start), anthropic_event("ping")]
    for index, (block, deltas) in enumerate(
        blocks or [({"type": "text", "text": ""}, [_text(t) for t in TEXT])]
    ):
        events.append(anthropic_event("content_block_start", index=index, content_block=block))
        events += [anthropic_event("content_block_delta", index=index, delta=delta) for delta in deltas]
        events.append(anthropic_event("content_block_stop", index=index))
    if stop is not None:
        end = None if usage == "none" else usage or {"output_tokens": 5}
        events.append(anthropic_event("message_delta", delta={"stop_reason": stop}, usage=end))
    return [*events, anthropic_event("message_stop")] if done else events


def anthropic_document(**more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-2026",
        "content": [{"type": "text", "text": "".join(TEXT)}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 12, "output_tokens": 5},
        **more,
    }


def _text(text: str) -> dict[str, str]:
    return {"type": "text_delta", "text": text}


def good(request: Seen, **options: Any) -> list[bytes]:
    """The events of a good answer in the format of the request."""
    return anthropic_events(**options) if request.format == "anthropic" else openai_events(**options)


Fault = Callable[[Wire], None]
FAULTS: dict[str, Fault] = {}


def fault(function: Fault) -> Fault:
    FAULTS[function.__name__] = function
    return function


@fault
def ok(wire: Wire) -> None:
    if wire.request.path.endswith("/embeddings"):
        vectors(wire)
        return
    wire.events(good(wire.request))


@fault
def vectors(wire: Wire) -> None:
    rows = [
        {"index": index, "embedding": [float(len(text)), 1.0, 2.0]}
        for index, text in enumerate(wire.request.body.get("input", ()))
    ]
    wire.document({"model": "e-2026", "data": rows[::-1], "usage": {"prompt_tokens": 7}})


@fault
def vectors_missing(wire: Wire) -> None:
    wire.document({"model": "e-2026", "data": [{"index": 0, "embedding": [1.0, 2.0, 3.0]}]})


@fault
def vectors_ragged(wire: Wire) -> None:
    rows = [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]
    wire.document({"model": "e-2026", "data": rows})


@fault
def vectors_words(wire: Wire) -> None:
    wire.document({"model": "e-2026", "data": [{"index": 0, "embedding": ["a", "b"]}]})


@fault
def document(wire: Wire) -> None:
    wire.document(anthropic_document() if wire.request.format == "anthropic" else openai_document())


@fault
def wrong_type(wire: Wire) -> None:
    wire.head(content_type="text/plain", Transfer_Encoding="chunked")
    for event in good(wire.request):
        wire.chunk(event)
    wire.end()


@fault
def gzipped(wire: Wire) -> None:
    data = gzip.compress(b"".join(good(wire.request)))
    wire.head(Content_Length=str(len(data)), Content_Encoding="gzip")
    wire.raw(data)


@fault
def bad_gzip(wire: Wire) -> None:
    wire.head(Content_Length="9", Content_Encoding="gzip")
    wire.raw(b"not gzip!")


@cache
def bomb() -> bytes:
    """60 MB in a small parcel."""
    return gzip.compress(b"data: " + b"x" * 60_000_000, compresslevel=1)


@fault
def gzip_bomb(wire: Wire) -> None:
    data = bomb()
    wire.head(Content_Length=str(len(data)), Content_Encoding="gzip")
    wire.raw(data)


@fault
def byte_by_byte(wire: Wire) -> None:
    wire.stream_head()
    for byte in b"".join(good(wire.request)):
        wire.chunk(bytes([byte]))
    wire.end()


@fault
def crlf(wire: Wire) -> None:
    wire.stream_head()
    for event in good(wire.request):
        wire.chunk(event.replace(b"\n", b"\r\n")[:-1])
        wire.chunk(b"\n")
    wire.end()


@fault
def hang_before(wire: Wire) -> None:
    wire.hang()


@fault
def hang_headers(wire: Wire) -> None:
    wire.stream_head()
    wire.hang()


@fault
def hang_middle(wire: Wire) -> None:
    wire.stream_head()
    for event in good(wire.request)[:4]:
        wire.chunk(event)
    wire.hang()


@fault
def hang_after_done(wire: Wire) -> None:
    wire.stream_head()
    for event in good(wire.request):
        wire.chunk(event)
    wire.hang()


def _drip(wire: Wire, data: Iterator[bytes] | bytes) -> None:
    while not wire.stopped.wait(0.05):
        wire.raw(data if isinstance(data, bytes) else next(data))


@fault
def drip_headers(wire: Wire) -> None:
    wire.raw(b"HTTP/1.1 200 OK\r\nX-Long: ")
    _drip(wire, b"x")


@fault
def drip_body(wire: Wire) -> None:
    wire.stream_head()
    _drip(wire, b"1\r\n:\r\n")


@fault
def drip_tokens(wire: Wire) -> None:
    wire.stream_head()
    event = good(wire.request)[4]
    for start in good(wire.request)[:3]:
        wire.chunk(start)
    _drip(wire, b"%x\r\n%s\r\n" % (len(event), event))


@fault
def drip_chunk_size(wire: Wire) -> None:
    wire.stream_head()
    wire.raw(b"1;")
    _drip(wire, b"x")


@fault
def drip_error(wire: Wire) -> None:
    wire.head(500, content_type="text/plain", Transfer_Encoding="chunked")
    _drip(wire, b"1\r\nx\r\n")


@fault
def reset_before(wire: Wire) -> None:
    wire.reset()


@fault
def close_before(wire: Wire) -> None:
    wire.sock.close()


@fault
def close_after(wire: Wire) -> None:
    """A good answer on a connection that then closes without having said so."""
    wire.events(good(wire.request))
    wire.sock.shutdown(socket.SHUT_RD)
    time.sleep(0.02)
    wire.reset()


@fault
def reset_headers(wire: Wire) -> None:
    wire.stream_head()
    time.sleep(0.05)
    wire.reset()


@fault
def reset_body(wire: Wire) -> None:
    wire.stream_head()
    for event in good(wire.request)[:4]:
        wire.chunk(event)
    time.sleep(0.05)
    wire.reset()


@fault
def truncate(wire: Wire) -> None:
    """The connection closes within the stream, against the framing."""
    wire.stream_head()
    for event in good(wire.request)[:4]:
        wire.chunk(event)
    wire.sock.close()


@fault
def truncate_framed(wire: Wire) -> None:
    """The stream ends in good order, but without finish reason and end mark."""
    wire.events(good(wire.request)[:4])


@fault
def no_terminator(wire: Wire) -> None:
    wire.events(good(wire.request, done=False))


@fault
def no_finish_reason(wire: Wire) -> None:
    name = "stop" if wire.request.format == "anthropic" else "finish"
    wire.events(good(wire.request, **{name: None}))


@fault
def truncate_unframed(wire: Wire) -> None:
    """Without a length or chunks, the end of the connection is the end of the answer."""
    wire.head(Connection="close")
    wire.raw(b"".join(good(wire.request)[:4]))
    wire.sock.close()


@fault
def truncate_document(wire: Wire) -> None:
    body = anthropic_document() if wire.request.format == "anthropic" else openai_document()
    wire.document(json.dumps(body).encode()[:-20])


@fault
def short_document(wire: Wire) -> None:
    wire.head(content_type="application/json", Content_Length="5000")
    wire.raw(b'{"id": "c1", ')
    wire.sock.close()


@fault
def html(wire: Wire) -> None:
    wire.document(b"<html><body>Please sign in</body></html>", content_type="text/html")


@fault
def plain(wire: Wire) -> None:
    wire.document(b"upstream says no", content_type="text/plain")


@fault
def empty(wire: Wire) -> None:
    wire.document(b"")


@fault
def no_content(wire: Wire) -> None:
    wire.raw(b"HTTP/1.1 204 No Content\r\n\r\n")


@fault
def not_json_event(wire: Wire) -> None:
    wire.events([*good(wire.request)[:3], b"data: {oops\n\n"])


@fault
def invalid_utf8(wire: Wire) -> None:
    wire.events([*good(wire.request)[:3], b'data: {"model": "\xff\xfe"}\n\n'])


@fault
def deep_json(wire: Wire) -> None:
    wire.events([b"data: " + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n\n"])


@fault
def list_json(wire: Wire) -> None:
    wire.document([1, 2, 3])


@fault
def changed_types(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        wire.events([anthropic_event("content_block_delta", index="x", delta=[1])])
    else:
        wire.events([sse(openai_chunk(delta={"content": {"text": 5}}))])


@fault
def no_choices(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        wire.document({"type": "message", "id": "msg_1"})
    else:
        wire.events([sse({"id": "c1", "choices": []}), b"data: [DONE]\n\n"])


@fault
def unknown_fields(wire: Wire) -> None:
    extra = sse({"type": "novelty", "surprise": {"deep": [1]}, "choices": [], "id": "c1"}, name="novelty")
    wire.events([extra, b": a comment\n\nretry: 5\nid: 9\n\n", *good(wire.request)])


@fault
def unknown_reason(wire: Wire) -> None:
    name = "stop" if wire.request.format == "anthropic" else "finish"
    wire.events(good(wire.request, **{name: "moonphase"}))


@fault
def length(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        wire.events(anthropic_events(stop="max_tokens"))
    else:
        wire.events(openai_events(finish="length"))


@fault
def refused(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        wire.events(anthropic_events(stop="refusal"))
    else:
        wire.events(openai_events(refusal="I cannot help with that."))


@fault
def filtered(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        wire.document(
            {
                "error": {
                    "type": "invalid_request_error",
                    "message": "Output blocked by content filtering policy",
                }
            },
            status=400,
        )
    else:
        wire.events(openai_events(finish="content_filter"))


@fault
def lying_usage(wire: Wire) -> None:
    lies = {"prompt_tokens": -5, "completion_tokens": "many", "input_tokens": -5, "output_tokens": 1e30}
    wire.events(good(wire.request, usage=lies))


@fault
def no_usage(wire: Wire) -> None:
    wire.events(good(wire.request, usage="none"))


@fault
def error_in_stream(wire: Wire) -> None:
    error = {"type": "overloaded_error", "message": "Overloaded", "code": 503}
    wire.events([*good(wire.request)[:4], sse({"type": "error", "error": error}, name="error")])


@fault
def error_in_document(wire: Wire) -> None:
    wire.document(
        {
            "type": "error",
            "error": {"type": "overloaded_error", "code": "overloaded_error", "message": "Overloaded"},
        }
    )


@fault
def huge(wire: Wire) -> None:
    wire.stream_head()
    piece = b"data: " + b"x" * 100_000 + b"\n"
    for _ in range(500):
        wire.chunk(piece)


@fault
def huge_line(wire: Wire) -> None:
    wire.stream_head()
    wire.chunk(b"data: ")
    for _ in range(500):
        wire.chunk(b"x" * 100_000)


@fault
def huge_error(wire: Wire) -> None:
    wire.head(500, content_type="text/plain", Transfer_Encoding="chunked")
    for _ in range(500):
        wire.chunk(b"x" * 100_000)


@fault
def huge_headers(wire: Wire) -> None:
    wire.raw(b"HTTP/1.1 200 OK\r\n")
    for number in range(20_000):
        wire.raw(b"X-Header-%d: %s\r\n" % (number, b"y" * 100))


@fault
def not_http(wire: Wire) -> None:
    wire.raw(b"SSH-2.0-OpenSSH_9.6\r\n" * 4)


@fault
def bad_chunk(wire: Wire) -> None:
    wire.stream_head()
    wire.raw(b"zz\r\nhello\r\n")


@fault
def redirect(wire: Wire) -> None:
    wire.document(b"", status=307, Location="http://127.0.0.1:1/elsewhere")


@fault
def echo_secret(wire: Wire) -> None:
    said = wire.request.headers.get("authorization") or wire.request.headers.get("x-api-key")
    wire.document(
        {"error": {"message": f"Incorrect key: {said}", "type": "invalid_api_key"}},
        status=401,
        Set_Cookie=str(said),
    )


@fault
def echo_secret_in_answer(wire: Wire) -> None:
    said = wire.request.headers.get("authorization") or wire.request.headers.get("x-api-key")
    wire.events([sse({"id": "c1", "choices": [], "debug": said}), *openai_events()])


@fault
def limited_seconds(wire: Wire) -> None:
    wire.document(
        {"error": {"message": "slow down", "type": "rate_limit_error"}}, status=429, Retry_After="7"
    )


@fault
def limited_date(wire: Wire) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    wire.document({"error": {"message": "slow down"}}, status=429, Retry_After=moment)


@fault
def limited_ms(wire: Wire) -> None:
    wire.document({"error": {"message": "slow down"}}, status=429, Retry_After_Ms="250", Retry_After="9")


@fault
def limited_nonsense(wire: Wire) -> None:
    wire.document({"error": {"message": "slow down"}}, status=429, Retry_After="soon")


@fault
def quota(wire: Wire) -> None:
    said = {
        "message": "You exceeded your current quota",
        "type": "insufficient_quota",
        "code": "insufficient_quota",
    }
    wire.document({"error": said}, status=429)


@fault
def context(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        said = {
            "type": "invalid_request_error",
            "message": "prompt is too long: 210000 tokens > 200000 maximum",
        }
    else:
        said = {
            "code": "context_length_exceeded",
            "message": "This model's maximum context length is 8192 tokens.",
        }
    wire.document({"error": said}, status=400)


@fault
def tools(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        pieces = [{"type": "input_json_delta", "partial_json": text} for text in ('{"order"', ': "42"}')]
        calls = [({"type": "tool_use", "id": f"t{n}", "name": "refund", "input": {}}, pieces) for n in (0, 1)]
        wire.events(anthropic_events(stop="tool_use", blocks=calls))
        return
    events = []
    for number in (0, 1):
        for delta in (
            {"index": number, "id": f"t{number}", "function": {"name": "refund", "arguments": ""}},
            {"index": number, "function": {"arguments": '{"order"'}},
            {"index": number, "function": {"arguments": ': "42"}'}},
        ):
            events.append(sse(openai_chunk(delta={"tool_calls": [delta]})))
    wire.events([*events, sse(openai_chunk(finish_reason="tool_calls")), b"data: [DONE]\n\n"])


@fault
def tools_one_index(wire: Wire) -> None:
    """As some servers do: every parallel call at index 0, told apart by id."""
    calls = [
        {"index": 0, "id": f"t{n}", "function": {"name": "refund", "arguments": json.dumps({"n": n})}}
        for n in (0, 1)
    ]
    events = [sse(openai_chunk(delta={"tool_calls": [call]})) for call in calls]
    wire.events([*events, sse(openai_chunk(finish_reason="tool_calls")), b"data: [DONE]\n\n"])


@fault
def tools_broken_json(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        call = (
            {"type": "tool_use", "id": "t0", "name": "refund", "input": {}},
            [{"type": "input_json_delta", "partial_json": "{oops"}],
        )
        wire.events(anthropic_events(stop="tool_use", blocks=[call]))
    else:
        delta = {"index": 0, "id": "t0", "function": {"name": "refund", "arguments": "{oops"}}
        wire.events(
            [sse(openai_chunk(delta={"tool_calls": [delta]})), *openai_events(finish="tool_calls")[1:]]
        )


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
