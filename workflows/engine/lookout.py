"""One thread per worker process that looks for ready rows by itself, for as long as no bell wakes it.

With it the broker only makes things fast. While the broker is away, or a worker's connection to it has died without a
word, every worker goes on at its own pace: it puts one more thread to work at each look that finds something, up to
as many as it has.
"""

from __future__ import annotations

import threading
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

    def run(self) -> None:
        while not self.ending.wait(LOOK_S):
            if self.here.has_room():
                threading.Thread(target=self._work, name="lookout-work", daemon=True).start()

    def _work(self) -> None:
        try:
            while execute.work(self.here) and self.here.has_room():
                pass
        except database.AWAY as error:
            log.warning("lookout_waits_for_database", error=str(error)[:200])
        except Exception:
            log.exception("lookout_failed")  # what was claimed comes back when its lease runs out
        finally:
            connection.close()
