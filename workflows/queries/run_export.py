"""Every run that a filter matches, newest first, in portions: what an export writes out. Reads only.

Each portion is a query of its own that begins where the last one ended, so that neither a transaction nor a
connection is held while somebody's browser takes its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from workflows.models import Run
from workflows.queries import run_list
from workflows.queries.run_matching import RunFilter, matching

PORTION: Final = 1_000
# In the order of the columns. Money is a decimal text, times are UTC, durations seconds.
FIELDS: Final = (
    "id",
    "title",
    "workflow",
    "release",
    "environment",
    "state",
    "created_at",
    "started_at",
    "ended_at",
    "duration_s",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "error_class",
    "error_step",
    "error_message",
    "session",
    "tags",
    "trigger",
    "created_by",
)


@dataclass(frozen=True)
class Place:
    """Where the last portion ended."""

    created_at: datetime
    run_id: str


def portion(
    chosen: RunFilter, *, frozen_at: datetime, after: Place | None = None
) -> tuple[list[dict[str, Any]], Place | None]:
    """Return the next runs, and where they ended; None when these were the last.

    Runs created after `frozen_at` are left out.
    """
    runs = matching(chosen).filter(created_at__lte=frozen_at).select_related("release")
    if after:
        runs = runs.filter(run_list.older_than(after.created_at, after.run_id))
    found = list(runs.order_by("-created_at", "-id")[:PORTION])
    named = run_list.titles(found)
    ended = Place(found[-1].created_at, found[-1].id) if len(found) == PORTION else None
    return [_record(run, named[run.id]) for run in found], ended


def _record(run: Run, title: str) -> dict[str, Any]:
    error, used = run.error or {}, run.tokens or {}
    took = run.ended_at - run.started_at if run.started_at and run.ended_at else None
    values = (
        run.id,
        title,
        run.workflow,
        run.release.number,
        run.environment_id,
        run.state,
        run.created_at,
        run.started_at,
        run.ended_at,
        took.total_seconds() if took is not None else None,
        run.cost_usd,
        used.get("input"),
        used.get("output"),
        error.get("class"),
        error.get("step"),
        error.get("message"),
        run.session,
        list(run.tags),
        run.trigger,
        run.created_by,
    )
    return dict(zip(FIELDS, values, strict=True))
