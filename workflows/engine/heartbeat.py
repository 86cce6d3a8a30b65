"""One thread per worker process that renews all its leases in one statement, and hears who has to stop."""

from __future__ import annotations

import os
import threading
import time
import uuid

import structlog
from django.conf import settings

from workflows import database
from workflows.engine.leases import Process

log = structlog.get_logger()


class Heartbeat(threading.Thread):
    def __init__(self, here: Process) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.here = here
        self.ending = threading.Event()

    def run(self) -> None:
        next_beat = 0.0
        while not self.ending.wait(min(1.0, settings.HEARTBEAT_S)):
            try:
                if time.monotonic() >= next_beat:
                    beat(self.here)
                    next_beat = time.monotonic() + settings.HEARTBEAT_S
                listen(self.here)
            except database.AWAY as error:
                log.warning("heartbeat_missed", error=str(error)[:200])
            except Exception:
                log.exception("heartbeat_failed")  # the thread must live: without it every lease runs out


def beat(here: Process) -> None:
    """Renew the leases of this process once, and note which are gone."""
    leases = here.to_renew()
    kept = database.call(
        "interlock_heartbeat",
        here.id,
        here.host,
        os.getpid(),
        here.threads,
        here.draining.is_set(),
        leases,
        settings.LEASE_S,
    )
    here.gone(set(leases) - {uuid.UUID(lease) for lease in kept})


def listen(here: Process) -> None:
    """Hear which of the runs in flight are being cancelled."""
    runs = here.runs()
    if runs:
        here.stop_runs(set(database.call("interlock_stopping", runs)))
