"""The transport for Redis and Valkey: Celery's own, which something in the queue that is no message cannot end.

May not know what a message means.
"""

from __future__ import annotations

from typing import Any, Final

import structlog
from kombu.transport import redis

log = structlog.get_logger()
# What broken JSON and missing fields raise. Errors of the connection are none of these and go on up.
UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError)


class Channel(redis.Channel):
    def _brpop_read(self, **options: Any) -> Any:
        """Take one message and deliver it; one that cannot be read is logged and forgotten."""
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # not in its stubs
        except UNREADABLE as error:
            log.warning("message_unreadable", error=f"{type(error).__name__}: {str(error)[:200]}")
            return True


class Transport(redis.Transport):
    Channel = Channel
