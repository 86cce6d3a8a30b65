"""How a stretch of time is cut into bars, and what is written under them. Pure."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Final

_MOST_BARS: Final = 96
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# Lengths of a bar in seconds that people read at a glance, with their names.
_STEPS: Final = (
    (1, "second"),
    (5, "5 s"),
    (15, "15 s"),
    (_MINUTE, "minute"),
    (5 * _MINUTE, "5 min"),
    (15 * _MINUTE, "15 min"),
    (_HOUR, "hour"),
    (2 * _HOUR, "2 h"),
    (8 * _HOUR, "8 h"),
    (_DAY, "day"),
    (7 * _DAY, "week"),
    (28 * _DAY, "4 weeks"),
    (364 * _DAY, "year"),
)


def cut(since: datetime, until: datetime) -> tuple[int, str]:
    """Return the number of bars for a stretch of time, and how long one is: `(84, "per 2 h")`."""
    length_s = max((until - since).total_seconds(), 1.0)
    for step_s, name in _STEPS:
        bars = math.ceil(length_s / step_s)
        if bars <= _MOST_BARS:
            return max(bars, 1), f"per {name}"
    return _MOST_BARS, ""


def marks(since: datetime, until: datetime, *, now: datetime) -> list[str]:
    """Write the times under the bars: the start, three between, and the end."""
    length = until - since
    between = [since + length * part / 4 for part in (1, 2, 3)]
    end = "now" if abs(now - until) < timedelta(seconds=2) else _day_and_time(until)
    return [_day_and_time(since), *(_short(moment, length) for moment in between), end]


def _day_and_time(when: datetime) -> str:
    return f"{when:%b} {when.day}, {when:%H:%M}"


def _short(when: datetime, length: timedelta) -> str:
    if length > timedelta(days=6):
        return f"{when:%b} {when.day}"
    if length > timedelta(hours=25):
        return _day_and_time(when)
    return f"{when:%H:%M}" if length > timedelta(minutes=10) else f"{when:%H:%M:%S}"


def stretch(start: datetime, end: datetime) -> str:
    """Say a bar's stretch of time: `Nov 3, 14:30 – 14:45`."""
    same = start.date() == end.date()
    form = "%H:%M" if not (start.second or end.second) else "%H:%M:%S"
    last = f"{end:{form}}" if same else f"{end:%b} {end.day}, {end:{form}}"
    return f"{start:%b} {start.day}, {start:{form}} – {last}"
