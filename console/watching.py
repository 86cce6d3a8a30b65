"""A run followed in the terminal: one line whenever a step changes. Reads only."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from django.db import connection
from django.utils import timezone

from console import formats
from workflows import runs
from workflows.models import Run, StepRun

POLL_S: Final = 0.2
# A map's thousands of items are counted, not listed.
MAX_LINES: Final = 200
_SHOWN: Final = ("running", "waiting", "succeeded", "failed", "unknown", "skipped", "cancelled")


def follow(run_id: str, *, say: Callable[[str], None]) -> Run:
    """Say what changes until the run has ended; return it then."""
    seen: dict[int, str] = {}
    told_unknown = False
    while True:
        run = runs.get(run_id)
        for line in changes(run_id, seen):
            say(line)
        if run.ended_at is not None:
            return run
        if not told_unknown and "unknown" in seen.values():
            told_unknown = True
            say("This run waits for a person: the outcome of a step is unknown. Resolve it in the console.")
        if not connection.in_atomic_block:
            connection.close()  # back to the pool while we sleep
        time.sleep(POLL_S)


def changes(run_id: str, seen: dict[int, str]) -> list[str]:
    """Return a line for each step whose state is another than the last time; remember what was seen."""
    steps = StepRun.objects.filter(run_id=run_id, superseded=False, state__in=_SHOWN).order_by(
        "started_at", "id"
    )
    lines = []
    for step in steps[: MAX_LINES * 2]:
        mark = f"{step.state}/{step.reason}" if step.state == "waiting" else step.state
        if seen.get(step.pk) != mark:
            seen[step.pk] = mark
            if len(seen) <= MAX_LINES:
                lines.append(line(step, now=timezone.now()))
            elif len(seen) == MAX_LINES + 1:
                lines.append("  … further steps are not listed here.")
    return lines


def line(step: StepRun, *, now: datetime) -> str:
    """Write one step: path, kind, state, how long, and what went wrong."""
    state = "retrying" if step.state == "waiting" and step.reason == "retry" else step.state
    took = (
        formats.duration(((step.ended_at or now) - step.started_at).total_seconds())
        if step.started_at
        else ""
    )
    message = (step.error or {}).get("message", "")
    return f"  {step.path:<28} {step.kind:<9} {state:<10} {took:<8} {message}".rstrip()
