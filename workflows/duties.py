"""Duties of the engine's clock that take long, or use the database through Django: each in a thread of its own.

The clock's thread may hold no connection: one that broke would stop every other duty with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog
from django.db import connection

from workflows import database

log = structlog.get_logger()
_LONGEST_REST_S: Final = 600.0


class Duty:
    """Work that is done by one thread of this process at a time.

    `rests`: how many times as long as it took it rests before it may begin again.
    """

    def __init__(self, name: str, work: Callable[[], object], *, rests: float = 0.0) -> None:
        self.name, self.work, self.rests = name, work, rests
        self._busy = threading.Lock()

    def begin(self) -> None:
        """Begin, unless it is at it already."""
        if self._busy.acquire(blocking=False):
            threading.Thread(target=self._do, name=self.name, daemon=True).start()

    def _do(self) -> None:
        began = time.monotonic()
        try:
            self.work()
        except database.AWAY as error:
            log.warning("duty_waits_for_database", duty=self.name, error=str(error)[:200])
        except Exception:
            log.exception("duty_failed", duty=self.name)  # the next time tries again
        finally:
            connection.close()  # back to the pool
            time.sleep(min(_LONGEST_REST_S, self.rests * (time.monotonic() - began)))
            self._busy.release()
