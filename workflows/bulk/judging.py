"""Whether a bulk action may take its next runs: what its first runs came to, how many fail again, how many go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import Max
from django.utils import timezone

from workflows import database
from workflows.bulk import actions, options
from workflows.bulk.options import Options
from workflows.models import BulkAction

# Before so many have ended again, no share of failures says anything.
ENOUGH: Final = 10
# The first runs have this long to end, from when the last of them was taken; then a person decides.
PATIENCE: Final = timedelta(minutes=10)
# After so many runs it looks again, where nothing narrower says when.
LOOK_EVERY: Final = 10
# And of a large action after this part of what was taken: each look goes over all of it.
LOOK_SHARE: Final = 100
LOOK_S, LOOK_SELDOM_S = 1.0, 30.0


@dataclass(frozen=True)
class Leave:
    """How many runs may be taken before the next look; 0: none now. `again_s`: when to look again, if ever."""

    runs: int = 0
    again_s: float = 0.0


@dataclass(frozen=True)
class _Fate:
    """What became of runs that were taken: how many, how many of them have ended, how many of those failed."""

    taken: int
    ended: int
    failed: int


def leave(action: BulkAction, *, waited_s: float) -> Leave:
    """Say what the action may do next. May stop or pause it.

    `waited_s`: the last answer's `again_s`: the longer nothing changes, the more seldom it looks.
    """
    asked = options.of(action.options)
    if action.action == "cancel":
        return Leave(LOOK_EVERY)
    later = Leave(again_s=min(max(LOOK_S, waited_s * 1.5), LOOK_SELDOM_S))
    canary = asked.canary if action.passed_at is None else 0
    if canary:
        first = _fate(action, only=canary)
        if first.taken < canary and action.items.filter(outcome="pending").exists():
            return _narrowed(Leave(canary - first.taken), first, asked, later)
        if not _went_well(action, first, asked.stop_above or 0.0):
            return Leave() if action.state != "running" else later
    if asked.stop_above is None and asked.at_once is None:
        return Leave(LOOK_EVERY)
    found = _fate(action)
    if (
        asked.stop_above is not None
        and found.ended >= ENOUGH
        and found.failed / found.ended > asked.stop_above
    ):
        _stop(action, found, "runs", asked.stop_above)
        return Leave()
    return _narrowed(Leave(max(LOOK_EVERY, found.taken // LOOK_SHARE)), found, asked, later)


def _went_well(action: BulkAction, first: _Fate, limit: float) -> bool:
    """Say whether the rest may follow; else it was stopped or paused, or the first have to end yet."""
    if first.failed and first.failed / first.taken > limit:
        _stop(action, first, "first runs", limit)
        return False
    if first.ended == first.taken:
        actions.let_pass(action)
        return True
    last = action.items.filter(outcome="done").aggregate(at=Max("at"))["at"]
    if last is not None and timezone.now() - last > PATIENCE:
        going = first.taken - first.ended
        note = (
            f"Paused by itself: {going:,} of the first {first.taken:,} runs have not ended after "
            f"{PATIENCE.seconds // 60} minutes. Look at them, then resume or stop."
        )
        actions.pause_by_itself(action, note=note)
        action.refresh_from_db()
    return False


def _stop(action: BulkAction, found: _Fate, which: str, limit: float) -> None:
    note = (
        f"Stopped by itself: {found.failed:,} of {found.ended:,} {which} that ended failed"
        f"{' again' if action.action == 'retry' else ''}, more than {limit:.0%}."
    )
    actions.stop_by_itself(action, note=note)
    action.refresh_from_db()


def _narrowed(wanted: Leave, found: _Fate, asked: Options, later: Leave) -> Leave:
    """Hold the number of runs that go on at the same time."""
    if asked.at_once is None:
        return wanted
    free = asked.at_once - (found.taken - found.ended)
    return Leave(min(wanted.runs, free)) if free > 0 else later


_FATE: Final = """
SELECT count(*), count(*) FILTER (WHERE run.id IS NULL OR run.ended_at IS NOT NULL),
       count(*) FILTER (WHERE run.state = 'failed')
  FROM (SELECT coalesce(nullif(made, ''), run_id) AS led FROM workflows_bulkitem
         WHERE bulk_id = $1 AND outcome = 'done' ORDER BY id LIMIT $2) AS taken
  LEFT JOIN workflows_run AS run ON run.id = taken.led
"""


def _fate(action: BulkAction, *, only: int | None = None) -> _Fate:
    """Count what became of the runs that were taken; `only`: of the first so many."""
    [row] = database.fetch_all(_FATE, [action.pk, only])
    return _Fate(*row)
