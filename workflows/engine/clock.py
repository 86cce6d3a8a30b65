"""The clock: expired leases, timers, lost doorbells, unclosed scopes, deadlines, schedules, rollouts, webhooks.

It runs in every worker; one of them holds it by a lease row, and another takes over within five seconds. Each
duty is a statement that may run twice. Nothing depends on it for correctness of a step, only for progress.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from django.conf import settings

from workflows import database, firing, quarantine, schedules
from workflows.engine import dispatch, execute, hints
from workflows.engine.leases import Process
from workflows.failures import grouping
from workflows.releases import tending
from workflows.retention import pruning
from workflows.webhooks import delivering

log = structlog.get_logger()
TICK_S: Final = 0.25
HELD_S: Final = 4.0
# How long a ready row waits before its doorbell counts as lost, the first time.
RING_AGAIN_S: Final = 2.0
BATCH: Final = 200


class Clock(threading.Thread):
    def __init__(self, here: Process) -> None:
        super().__init__(name="clock", daemon=True)
        self.here = here
        self.ending = threading.Event()
        self.duties: list[tuple[float, Callable[[], None]]] = [
            (TICK_S, wake),
            (1.0, expire),
            (1.0, ring_again),
            (1.0, end_overdue),
            (1.0, time_out),
            (3.0, close_unclosed),
            (1.0, firing.tend),
            (1.0, tending.tend),
            (2.0, grouping.tend),
            (10.0, quarantine.tend),
            (60.0, forget_workers),
            (60.0, forget_results),
            (0.5, delivering.tend),
            (3600.0, schedules.forget_old),
            (3600.0, delivering.forget_old),
            (600.0, pruning.tend),
        ]
        self.due = [0.0] * len(self.duties)

    def run(self) -> None:
        holds_until = 0.0
        while not self.ending.wait(TICK_S):
            try:
                now = time.monotonic()
                if now > holds_until - HELD_S + 1.0:
                    held = database.call("interlock_hold_clock", self.here.id, HELD_S)
                    holds_until = now + HELD_S if held else 0.0
                if now < holds_until:
                    self.tick()
            except database.AWAY as error:
                log.warning("clock_waits_for_database", error=str(error)[:200])
            except Exception:
                log.exception("clock_failed")  # the thread must live; the duty comes again

    def tick(self) -> None:
        """Do what is due."""
        for number, (every_s, duty) in enumerate(self.duties):
            if time.monotonic() >= self.due[number]:
                self.due[number] = time.monotonic() + every_s
                duty()


def wake() -> None:
    """Make timers that are due ready."""
    dispatch.ring(database.call("interlock_wake", BATCH))


def expire() -> None:
    """Take steps back from workers that are gone."""
    after_loss(database.call("interlock_expire", BATCH, settings.LEASE_S))


def after_loss(gone: list[dict[str, Any]]) -> None:
    """Go on with what was taken or handed back."""
    for step in gone:
        log.warning("attempt_given_up", run_id=step["run"], step=step["path"], state=step["state"])
    hints.tell(*{step["run"] for step in gone})
    dispatch.ring([step["step"] for step in gone if step["state"] == "ready"])
    for step in gone:
        if step["state"] != "ready":
            release = _release(step["run"])
            dispatch.ring(
                execute.close(step["run"], release=release, parent=step["parent"], item=step["item"])
            )


def ring_again() -> None:
    """Ring for ready rows that nobody came for."""
    dispatch.ring(database.call("interlock_overdue", RING_AGAIN_S, BATCH))


def end_overdue() -> None:
    """Stop runs that are past their deadline."""
    for run in database.call("interlock_deadlines", BATCH):
        dispatch.ring(execute.close(run, release=_release(run), parent=None))


def time_out() -> None:
    """Fail containers whose time is over, once what runs inside has ended."""
    for past in database.call("interlock_time_out", BATCH):
        dispatch.ring(execute.close(past["run"], release=_release(past["run"]), parent=past["parent"]))


def close_unclosed() -> None:
    """Close what a worker that died right after its commit left open."""
    for left in database.call("interlock_unclosed", RING_AGAIN_S, BATCH):
        dispatch.ring(execute.close(left["run"], release=_release(left["run"]), parent=left["parent"]))


def forget_workers() -> None:
    """Drop workers that have been silent for a day."""
    database.fetch_all(
        "DELETE FROM workflows_worker WHERE seen_at < clock_timestamp() - interval '1 day' RETURNING id", []
    )


def forget_results() -> None:
    """Drop cached results that are too old to be taken."""
    database.fetch_all(
        "DELETE FROM workflows_cachedresult WHERE key IN (SELECT key FROM workflows_cachedresult "
        "WHERE expires_at < clock_timestamp() ORDER BY expires_at LIMIT 5000) RETURNING 1",
        [],
    )


def _release(run: str) -> int:
    return int(database.fetch_all("SELECT release_id FROM workflows_run WHERE id = $1", [run])[0][0])
