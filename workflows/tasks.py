"""Celery's doors into the engine: load, one call."""

from __future__ import annotations

import time
from typing import Any

from celery import shared_task
from celery.signals import celeryd_after_setup, worker_shutting_down

from workflows.engine import dispatch, execute, lifecycle
from workflows.engine.leases import process


@shared_task(name=dispatch.TASK, ignore_result=True)
def ring(step: int) -> None:
    """Somebody rang for a step run: work on the best ready row."""
    process.heard_at = time.monotonic()
    execute.work()


# Not `worker_ready`, which waits for the broker: heartbeat and clock do without it.
@celeryd_after_setup.connect
def _start(instance: Any, **_: object) -> None:
    lifecycle.start(process, threads=instance.concurrency)


@worker_shutting_down.connect
def _drain(**_: object) -> None:
    lifecycle.drain(process)
