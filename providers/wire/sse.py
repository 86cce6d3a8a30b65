"""Server-Sent Events out of chunks of bytes, wherever the chunks are cut. Pure; it bounds nothing.

Source: WHATWG HTML, "9.2.6 Interpreting an event stream".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One event; `data` is UTF-8 as it came."""

    name: str
    data: bytes


def events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """The complete events; one without its closing blank line is dropped, as the standard says."""
    name = ""
    data: list[bytes] = []
    for line in _lines(chunks):
        if not line:
            if data:
                yield Event(name=name or "message", data=b"\n".join(data))
            name, data = "", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends, which are CRLF, LF or CR; a rest without an end is dropped."""
    pieces: list[bytes] = []
    after_cr = False
    for chunk in chunks:
        if not chunk:
            continue
        text = chunk[1:] if after_cr and chunk.startswith(b"\n") else chunk
        after_cr = chunk.endswith(b"\r")
        *complete, rest = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in complete:
            yield b"".join((*pieces, line)) if pieces else line
            pieces = []
        if rest:
            pieces.append(rest)
