"""A worker process' life: start its threads, and on SIGTERM stop claiming, let steps finish, hand back the rest."""

from __future__ import annotations

import os
import signal
import threading

import structlog
from django.conf import settings

from workflows import database
from workflows.engine import clock, heartbeat, lookout
from workflows.engine.leases import Process

log = structlog.get_logger()


def start(here: Process, *, threads: int) -> None:
    """Start the heartbeat, the clock and the lookout of this process."""
    here.threads = threads
    here.retire = _ask_ourselves_to_end
    heartbeat.beat(here)
    heartbeat.Heartbeat(here).start()
    clock.Clock(here).start()
    lookout.Lookout(here).start()
    log.info("worker_started", worker=here.id, threads=threads)


def _ask_ourselves_to_end() -> None:
    """As a deployment would: Celery lets go of the queue, whose messages others are waiting for."""
    os.kill(os.getpid(), signal.SIGTERM)


def drain(here: Process) -> None:
    """Begin to shut down; returns at once. The process ends when it is idle or its grace is over."""
    if here.draining.is_set():
        return
    here.draining.set()
    threading.Thread(target=_finish, args=(here,), name="drain", daemon=True).start()


def _finish(here: Process) -> None:
    log.info("worker_draining", worker=here.id, in_flight=len(here.all_leases()))
    if not here.wait_until_idle(settings.DRAIN_GRACE_S):
        hand_back(here)
        # Threads that wait on the outside cannot be stopped; what they held is ready for others by now.
        os._exit(0)


def hand_back(here: Process) -> None:
    """Give unfinished steps back at once, so that a deployment costs no lease wait."""
    try:
        clock.after_loss(database.call("interlock_hand_back", here.all_leases()))
    except database.AWAY as error:
        log.warning("hand_back_failed", worker=here.id, error=str(error)[:200])
