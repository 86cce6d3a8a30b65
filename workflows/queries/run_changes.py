"""What happened to a run since a point of its journal, for those who watch it live. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db.models import Max

from workflows.models import JournalEvent, Run, StepRun

# Of more steps than this a watcher is told that they changed, not how: it reads the list again.
MOST_STEPS: Final = 500


@dataclass(frozen=True, kw_only=True)
class StepChange:
    """A step run as it is now."""

    path: str
    kind: str
    state: str
    reason: str
    epoch: int
    attempts_made: int
    error: Mapping[str, Any] | None
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Where the journal stands, the run's state, and the steps that moved.

    `cut`: they are too many to be listed. `more`: there are newer events, which are not settled yet.
    """

    seq: int
    state: str
    ended: bool
    error: Mapping[str, Any] | None
    steps: Sequence[StepChange] = ()
    cut: bool = False
    more: bool = False


def now(run_id: str) -> Changes | None:
    """Return where a run stands, without its steps; nothing where there is no such run."""
    run = Run.objects.filter(id=run_id).only("state", "error", "ended_at").first()
    if run is None:
        return None
    newest = JournalEvent.objects.filter(run_id=run_id).aggregate(seq=Max("seq"))["seq"] or 0
    return Changes(seq=newest, state=run.state, ended=run.ended_at is not None, error=run.error)


def since(run_id: str, *, after: int, before: datetime | None = None) -> Changes | None:
    """Return where a run stands and the steps with events after a `seq`; nothing where there is no such run.

    `before`: leave out events from this moment on, since some with a smaller `seq` may still be committed.
    """
    at = now(run_id)
    if at is None or at.seq <= after:
        return at
    events = JournalEvent.objects.filter(run_id=run_id, seq__gt=after, seq__lte=at.seq)
    if before is not None:
        events = events.filter(at__lt=before)
    found = list(events.order_by("seq").values_list("seq", "step"))
    paths = list(dict.fromkeys(path for _, path in found if path is not None))
    at = replace(at, seq=found[-1][0] if found else after, more=not found or found[-1][0] < at.seq)
    if len(paths) > MOST_STEPS:
        return replace(at, cut=True)
    columns = tuple(StepChange.__dataclass_fields__)
    rows = StepRun.objects.filter(run_id=run_id, path__in=paths, superseded=False).order_by("ordinal", "id")
    return replace(at, steps=tuple(StepChange(**row) for row in rows.values(*columns)))
