"""Celery's doors into the engine: load, one call."""

from __future__ import annotations

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down

from workflows.engine import dispatch, execute, lifecycle
from workflows.engine.leases import process


@shared_task(name=dispatch.TASK, ignore_result=True)
def ring(step: int) -> None:
    """Somebody rang for a step run: work on the best ready row."""
    execute.work()


@worker_ready.connect
def _start(sender: object, **_: object) -> None:
    lifecycle.start(process, threads=sender.controller.concurrency)  # type: ignore[attr-defined]


@worker_shutting_down.connect
def _drain(**_: object) -> None:
    lifecycle.drain(process)
