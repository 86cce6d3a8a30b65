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
from kombu.exceptions import KombuError

from workflows.engine import faults

log = structlog.get_logger()
TASK: Final = "workflows.ring"
# After the broker failed, callers do not wait for it again for so long.
QUIET_S: Final = 2.0
# One commit rings for no more rows than this; the workers that come take the rest one after the other.
AT_ONCE: Final = 64
# While so many messages wait, every thread is busy; whoever comes for one of them sees all rows that are ready.
ENOUGH: Final = 8
# How old the count of waiting messages may be: to ring (a doubled message costs little) and to keep silent (a row
# that nobody comes for waits until the clock rings).
COUNTED_FOR_S: Final = 0.05
SILENT_FOR_S: Final = 0.002


class _Bell:
    """The broker as this process sees it: quiet for a while after a failure, silent while enough messages wait."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.quiet_until = 0.0
        self.measured_at = 0.0
        self.queued = 0

    def is_of_use(self) -> bool:
        """Say whether another message can wake anybody."""
        with self.lock:
            now = time.monotonic()
            if now < self.quiet_until:
                return False
            age_s = now - self.measured_at
            if age_s > (COUNTED_FOR_S if self.queued < ENOUGH else SILENT_FOR_S):
                self.measured_at = now
                self.queued = _queue_length()
            return self.queued < ENOUGH

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
        wanted = steps[:AT_ONCE] if _bell.is_of_use() else ()
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
    """Return how many messages wait in the broker."""
    queue = current_app.conf.task_default_queue
    with current_app.producer_pool.acquire(block=True) as producer:
        channel: Any = producer.channel  # the base class has neither `client` nor `queue_declare`
        if hasattr(channel, "client"):  # Valkey, Redis
            return int(channel.client.llen(queue))
        # As Celery declares it; asking passively for one that is not there yet would close the channel.
        return int(channel.queue_declare(queue, durable=True, auto_delete=False).message_count)
