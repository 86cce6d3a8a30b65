"""Rows that the API reads: runs with steps, attempts, calls and events, written as the engine writes them."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from workflows import database, payloads
from workflows.models import (
    Attempt,
    Call,
    Environment,
    JournalEvent,
    Release,
    Run,
    StepRun,
)

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def keep(value: Any) -> bytes:
    """Store a payload; return its hash."""
    batch = payloads.Batch()
    key = bytes.fromhex(batch.add(value))
    database.call("interlock_keep", *batch.columns())
    return key


def release(workflow: str = "triage", number: int = 1) -> Release:
    found, _ = Release.objects.get_or_create(
        workflow=workflow,
        number=number,
        defaults={
            "content_hash": f"{workflow}{number}".ljust(64, "0"),
            "manifest": {"workflow": [workflow, number]},
            "created_by": "marta",
        },
    )
    return found


def run(workflow: str = "triage", *, value: Any = None, output: Any = None, **more: Any) -> Run:
    """A run; later ones are newer."""
    number = next(_numbers)
    Environment.objects.get_or_create(name=more.get("environment_id", "production"))
    given: dict[str, Any] = {
        "id": f"r_{number:013d}",
        "workflow": workflow,
        "environment_id": "production",
        "state": "running",
        "trigger": "api",
        "created_by": "token:ci",
        "created_at": START + timedelta(seconds=number),
        "started_at": START + timedelta(seconds=number + 1),
        "input_hash": keep({"number": number} if value is None else value),
        "output_hash": None if output is None else keep(output),
        **more,
    }
    if "release" not in given:
        given["release"] = release(workflow)
    return Run.objects.create(**given)


def step(of: Run, path: str, *, state: str = "succeeded", **more: Any) -> StepRun:
    """A step run with one attempt."""
    running = {"lease": uuid.uuid4(), "lease_until": START} if state == "running" else {}
    made = StepRun.objects.create(
        run=of,
        path=path,
        step_id=path.rsplit("/", 1)[-1],
        kind="prompt",
        ordinal=0,
        state=state,
        **{
            "input_hash": keep({"in": path}),
            "output_hash": keep({"out": path}),
            "started_at": START,
            "ended_at": START + timedelta(seconds=2),
            "cost_usd": Decimal("0.0015"),
            "tokens": {"input": 10, "cached": 1, "output": 5, "reasoning": 0},
            **running,
            **more,
        },
    )
    attempt(made, 1)
    return made


def attempt(of: StepRun, number: int, **more: Any) -> Attempt:
    return Attempt.objects.create(
        step_run=of,
        run_id=of.run_id,
        number=number,
        **{"state": "succeeded", "worker": "host:1:a", "lease": uuid.uuid4(), "started_at": START, **more},
    )


def call(of: StepRun, number: int = 0, **more: Any) -> Call:
    return Call.objects.create(
        run_id=of.run_id,
        step_run=of,
        number=number,
        **{
            "attempt": 1,
            "state": "done",
            "provider": "fake",
            "provider_version": 1,
            "model_requested": "m",
            "model_returned": "m-1",
            "request_hash": keep({"messages": [number]}),
            "response_hash": keep({"text": f"answer {number}"}),
            "finish_reason": "stop",
            "usage": {"input": 3, "cached": 0, "output": 2, "reasoning": 0, "source": "provider"},
            "cost_usd": Decimal("0.0000070000"),
            "price_version": "fake@1",
            "timing_ms": {"queue": 0.1, "first_token": 4.0, "total": 9.5},
            "started_at": START,
            "ended_at": START,
            **more,
        },
    )


def event(of: Run, type_: str, *, n: int, **more: Any) -> JournalEvent:
    return JournalEvent.objects.create(run=of, type=type_, n=n, **{"at": START, **more})
