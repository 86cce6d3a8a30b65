"""The numbers beside the entries of the navigation: each one bounded query. May not change anything."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from workflows.models import Approval, StepRun
from workflows.queries.run_matching import RunFilter, matching

MOST: Final = 1_000  # counted up to here: what is shown ends at 999
_LATELY: Final = timedelta(hours=24)  # as the list of runs begins


def attention(now: datetime) -> int:
    """Count the runs of the last day that need somebody: failed, stuck, or with an outcome that nobody knows."""
    return matching(RunFilter(attention=True, since=now - _LATELY)).values("pk")[:MOST].count()


def approvals(now: datetime) -> int:
    """Count the open questions to people."""
    return Approval.objects.filter(closed_at=None).values("pk")[:MOST].count()


def queued(now: datetime) -> int:
    """Count the steps that could run and have no worker yet."""
    return StepRun.objects.filter(state="ready").values("pk")[:MOST].count()
