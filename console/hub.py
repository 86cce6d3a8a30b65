"""One subscription of this process to the workers' hints, fanned out to the streams that wait for a run.

Lives on the event loop of the web process. Knows no request, no database, and nothing of what a hint means.
While the broker is away, or is none that can publish, `Hub.hears` is false and its streams look by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

import redis.asyncio as redis
import structlog
from redis.exceptions import RedisError

from workflows.engine import hints

log = structlog.get_logger()
_TRY_AGAIN_S: Final = 2.0
_CONNECT_S: Final = 2.0
_PING_S: Final = 20.0  # a connection that died silently is found out by then


class Hub:
    """Who waits for which run."""

    def __init__(self) -> None:
        self.waiting: dict[str, set[asyncio.Event]] = {}
        self.hears = False
        self.task: asyncio.Task[None] | None = None

    @contextmanager
    def listening(self, run_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever a hint names the run."""
        bell = asyncio.Event()
        self.waiting.setdefault(run_id, set()).add(bell)
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self._subscribe())
        try:
            yield bell
        finally:
            bells = self.waiting[run_id]
            bells.discard(bell)
            if not bells:
                del self.waiting[run_id]

    def ring(self, run_ids: str) -> None:
        """Wake the streams of these runs."""
        for run_id in run_ids.split():
            for bell in self.waiting.get(run_id, ()):
                bell.set()

    async def _subscribe(self) -> None:
        """Listen as long as anybody waits; take the subscription up again when it breaks."""
        url = hints.address()
        while self.waiting and url is not None:
            try:
                await self._listen(url)
            except (RedisError, OSError) as error:
                log.info("hints_away", error=str(error)[:200])
                self._heard(False)
                await asyncio.sleep(_TRY_AGAIN_S)
        self.hears = False

    async def _listen(self, url: str) -> None:
        client: Any = redis.Redis.from_url(url, socket_connect_timeout=_CONNECT_S, decode_responses=True)
        async with client, client.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(hints.CHANNEL)
            self._heard(True)
            clock = asyncio.get_running_loop().time
            pinged = clock()
            while self.waiting:
                message = await channel.get_message(timeout=_PING_S)
                if message is not None and message["type"] == "message":
                    self.ring(message["data"])
                # By the clock: "no message" may also be the answer to the last ping.
                elif clock() - pinged >= _PING_S:
                    await channel.ping()
                    pinged = clock()

    def _heard(self, hears: bool) -> None:
        """Take note; whoever waits looks once by itself, since hints may have been missed."""
        self.hears = hears
        self.ring(" ".join(self.waiting))


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def of_this_loop() -> Hub:
    """Return the hub of the running event loop."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())
