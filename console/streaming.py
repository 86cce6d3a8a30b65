"""Server-Sent Events of one run: frames, heartbeats, an end. What a frame says: the views that open a stream.

Holds no database connection while it waits. May not decide who may watch: that is checked before.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from console import hub

HEARTBEAT_S: Final = 15.0
LONGEST_S: Final = 600.0  # then the client connects again
RETRY_MS: Final = 1000
MOST_PER_PERSON: Final = 4  # a browser opens six connections to a server at most
_APART_S: Final = 0.25  # between two looks at the database
_ALONE_S: Final = 1.0  # between two looks where no hints come
_MOST_SEQ: Final = 2**63 - 1
_open: Counter[str] = Counter()


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look found: frames to send, where the journal stands, whether to look again soon, or never."""

    frames: Sequence[str] = ()
    seq: int = 0
    again: bool = False
    ended: bool = False


@dataclass
class Stream:
    """One listener. `look(after)` reads what is new since a `seq`; it runs in a thread."""

    run_id: str
    person: str
    after: int
    look: Callable[[int], Look]
    heartbeat_s: float = HEARTBEAT_S
    longest_s: float = LONGEST_S

    async def frames(self) -> AsyncIterator[str]:
        """Give frames until the run has ended or `longest_s` are over; then the client connects again."""
        _open[self.person] += 1
        try:
            yield f"retry: {RETRY_MS}\n\n"
            async for frame in self._watch():
                yield frame
        finally:
            _open[self.person] -= 1
            if not _open[self.person]:
                del _open[self.person]

    async def _watch(self) -> AsyncIterator[str]:
        clock = asyncio.get_running_loop().time
        began = beaten = clock()
        here = hub.of_this_loop()
        with here.listening(self.run_id) as bell:
            while clock() - began < self.longest_s:
                found = await sync_to_async(self._read)()
                self.after = max(found.seq, self.after)
                for frame in found.frames:
                    yield frame
                if found.ended:
                    return
                await asyncio.sleep(_APART_S)
                patience_s = self.heartbeat_s if here.hears else min(_ALONE_S, self.heartbeat_s)
                rang = found.again or await _wait(bell, patience_s)
                if not rang and clock() - beaten >= 0.9 * self.heartbeat_s:
                    yield ": still here\n\n"
                    beaten = clock()
                bell.clear()

    def _read(self) -> Look:
        try:
            return self.look(self.after)
        finally:
            if not connection.in_atomic_block:
                connection.close()  # back to the pool: listeners are many, connections are few


async def _wait(bell: asyncio.Event, seconds: float) -> bool:
    """Wait for the bell; say whether it rang in time.

    Not by `asyncio.wait_for`: before Python 3.12 it forgets that it was cancelled if the bell rings in that moment, and
    the stream of a client that has gone would go on.
    """
    try:
        async with asyncio.timeout(seconds):
            return await bell.wait()
    except TimeoutError:
        return False


def frame(event: str, data: Any, *, seq: int) -> str:
    """Write one event; its id is where a client that comes again goes on."""
    return f"id: {seq}\nevent: {event}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


def last_seen(request: HttpRequest) -> int | None:
    """Return the `seq` that the client has seen last, if it says so."""
    told = request.headers.get("Last-Event-ID", "") or request.GET.get("after", "")
    return min(int(told), _MOST_SEQ) if told.isascii() and told.isdigit() and len(told) < 20 else None


def too_many(person: str) -> bool:
    """Say whether somebody has as many streams open as one may have."""
    return _open[person] >= MOST_PER_PERSON


def answer(stream: Stream) -> StreamingHttpResponse:
    """Answer with the stream; the connection to the database goes back before it begins."""
    if not connection.in_atomic_block:
        connection.close()
    response = StreamingHttpResponse(stream.frames(), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    # Compression would hold frames back until its buffer is full.
    response["Content-Encoding"] = "identity"
    return response


def refused(person: str) -> HttpResponse:
    """Answer 429: too many streams."""
    text = f"You have {MOST_PER_PERSON} live pages open already; this one asks every few seconds instead."
    return HttpResponse(text, status=429, content_type="text/plain", headers={"Retry-After": "30"})
