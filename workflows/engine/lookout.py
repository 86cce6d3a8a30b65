"""One thread per worker process that looks for ready rows by itself where it has heard no bell for a while.

With it the broker only makes things fast. While the broker is away, or a worker's connection to it has died without a
word, every worker goes on at its own pace: it puts one more thread to work at each look that finds something, up to
as many as it has.
"""

from __future__ import annotations

import threading
import time
from typing import Final

import structlog
from django.db import connection

from workflows import database
from workflows.engine import execute
from workflows.engine.leases import Process

log = structlog.get_logger()
# Between two looks: longer than a bell takes, and than the clock waits before it rings again.
LOOK_S: Final = 3.0


class Lookout(threading.Thread):
    def __init__(self, here: Process) -> None:
        super().__init__(name="lookout", daemon=True)
        self.here = here
        self.ending = threading.Event()
        self.places = threading.BoundedSemaphore(here.threads)

    def run(self) -> None:
        while not self.ending.wait(LOOK_S):
            self.look()

    def look(self) -> threading.Thread | None:
        """Put one more thread to work, where no bell is heard, and one has room; returns it."""
        if not self._is_needed() or not self.places.acquire(blocking=False):
            return None
        thread = threading.Thread(target=self._work, name="lookout-work", daemon=True)
        thread.start()
        return thread

    def _is_needed(self) -> bool:
        return time.monotonic() - self.here.heard_at > LOOK_S and self.here.has_room()

    def _work(self) -> None:
        try:
            while execute.work(self.here) and self._is_needed():
                pass
        except database.AWAY as error:
            log.warning("lookout_waits_for_database", error=str(error)[:200])
        except Exception:
            log.exception("lookout_failed")  # what was claimed comes back when its lease runs out
        finally:
            connection.close()
            self.places.release()
