"""Faults of connections, framing, size and time, whatever the answer says."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from functools import cache

from tests.faultserver.answers import anthropic_document, good, openai_document
from tests.faultserver.server import Wire, fault


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
