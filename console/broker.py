"""The transport for Redis and Valkey: Celery's own, but for two ways in which it stops taking messages.

Something in the queue that is no message would end the worker, and a broker that goes away while every message
taken still waits for a thread would leave it deaf for ever.

May not know what a message means.
"""

from __future__ import annotations

from typing import Any, Final

import structlog
from kombu.transport import redis, virtual

log = structlog.get_logger()
# What broken JSON and missing fields raise. Errors of the connection are none of these and go on up.
UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError)


class QoS(redis.QoS):
    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message; where the broker cannot be told, the message is done with all the same.

        Otherwise it counts as being worked on for as long as the channel lives. As many of them as there are
        threads, and the channel asks for nothing any more, so that it never learns that its connection is gone.
        """
        try:
            super().ack(delivery_tag)
        except BaseException:
            virtual.QoS.ack(self, delivery_tag)
            raise


class Channel(redis.Channel):
    QoS = QoS

    def _brpop_read(self, **options: Any) -> Any:
        """Take one message and deliver it; one that cannot be read is logged and forgotten."""
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # not in its stubs
        except UNREADABLE as error:
            log.warning("message_unreadable", error=f"{type(error).__name__}: {str(error)[:200]}")
            return True


class Transport(redis.Transport):
    Channel = Channel
