"""Which fire times of a schedule are due now, and which were missed for good (pure).

May not: read the clock or the database; `schedules` carries it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

from workflows.spec import cron

# A clock that moves to another worker takes seconds; without `catch_up` that much lateness is no reason to miss.
DEFAULT: Final = timedelta(minutes=1)
LEAST: Final = timedelta(seconds=30)
# Fire times that one outage may leave to be started; earlier ones count as missed.
MOST: Final = 100
MAX_COUNTED: Final = 10_000


@dataclass(frozen=True)
class Missed:
    """Fire times that are too old, from the first to the last; of more than MAX_COUNTED the rest is not counted."""

    first: datetime
    last: datetime
    count: int


@dataclass(frozen=True)
class Split:
    """What is to be done at a moment: all in order, `next` lies after it."""

    missed: Missed | None
    due: tuple[datetime, ...]
    next: datetime


def split(first: datetime, expression: str, zone: str, *, now: datetime, catch_up: timedelta) -> Split:
    """Sort the fire times from `first` up to now: at most `catch_up` late is due, what is older was missed."""
    oldest = now - max(catch_up, LEAST)
    times: Iterator[datetime] = chain([first], cron.following(first, expression, zone))
    missed, upcoming = _too_old(times, oldest)
    if upcoming is None:
        times = cron.following(oldest - timedelta(microseconds=1), expression, zone)
        upcoming = next(times)
    due = []
    while upcoming <= now:
        due.append(upcoming)
        upcoming = next(times)
    missed += due[:-MOST]
    told = Missed(missed[0], missed[-1], len(missed)) if missed else None
    return Split(told, tuple(due[-MOST:]), upcoming)


def _too_old(times: Iterator[datetime], oldest: datetime) -> tuple[list[datetime], datetime | None]:
    """The fire times before `oldest`, and the first that is not; None where there are too many to count."""
    missed: list[datetime] = []
    for moment in times:
        if moment >= oldest:
            return missed, moment
        missed.append(moment)
        if len(missed) == MAX_COUNTED:
            break
    return missed, None
