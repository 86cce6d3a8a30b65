"""Ring the bell: tell the workers that rows are ready. A message may be lost, doubled or late; none matters.

Nothing here ever fails a caller: the clock rings again for what stays ready.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import structlog
from celery import current_app
from django.conf import settings
from kombu.exceptions import KombuError

from workflows.engine import faults

log = structlog.get_logger()
TASK: Final = "workflows.ring"
# After the broker failed, callers do not wait for it again for so long.
QUIET_S: Final = 2.0
# One commit rings for no more rows than this; the workers that come take the rest one after the other.
AT_ONCE: Final = 64


class _Bell:
    """The broker as this process sees it: quiet for a while after a failure, silent while the queue is full."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.quiet_until = 0.0
        self.measured_at = 0.0
        self.queued = 0

    def room(self) -> int:
        """Return how many more messages are of use: about twice the threads of one worker wait at most."""
        with self.lock:
            now = time.monotonic()
            if now < self.quiet_until:
                return 0
            if now - self.measured_at > 0.05:
                self.measured_at = now
                self.queued = _queue_length()
            return max(0, 2 * settings.WORKER_THREADS - self.queued)

    def failed(self) -> None:
        with self.lock:
            self.quiet_until = time.monotonic() + QUIET_S

    def sent(self, count: int) -> None:
        with self.lock:
            self.queued += count


_bell = _Bell()


def ring(steps: Sequence[int]) -> int:
    """Ring for these step runs; return how many messages went out."""
    if not steps:
        return 0
    faults.point("before_dispatch")
    try:
        wanted = list(steps[: min(AT_ONCE, _bell.room())])
        for step in wanted:
            current_app.send_task(TASK, args=[step], ignore_result=True, retry=False)
    except _broker_errors() as error:
        _bell.failed()
        log.warning("broker_away", error=str(error)[:200])
        return 0
    _bell.sent(len(wanted))
    return len(wanted)


@lru_cache(maxsize=1)
def _broker_errors() -> tuple[type[BaseException], ...]:
    """Return what a broker that goes away raises, the transport's own errors included (redis' are no OSError)."""
    broker = current_app.connection_for_write()
    return (KombuError, OSError, *broker.connection_errors, *broker.channel_errors)


def _queue_length() -> int:
    """Return how many messages wait, where the broker is a Valkey or Redis; elsewhere 0."""
    if not str(settings.BROKER_URL).startswith(("redis", "rediss", "unix", "redis+socket")):
        return 0
    with current_app.producer_pool.acquire(block=True) as producer:
        channel: Any = producer.channel  # kombu's redis channel; the base class has no `client`
        return int(channel.client.llen(current_app.conf.task_default_queue))
