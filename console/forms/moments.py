"""Times as people type them into a filter: dates, times, and how long ago. Pure: the clock is passed in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

_AGO: Final = re.compile(r"(\d{1,6})(m|h|d|w)(?: ago)?")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS: Final = {"today": 0, "yesterday": 1}
_FIRST, _LAST = 1970, 2200  # outside of these some sum of dates overflows, and no run lies there
_LONGEST: Final = timedelta(days=36_500)
EXAMPLES: Final = "2026-11-20, 2026-11-20T14:30, 2h, 7d, today or yesterday"


@dataclass(frozen=True)
class Moment:
    """A time that was typed: `at` where it names an instant, `day` for a whole day, else `ago` before now."""

    at: datetime | None = None
    day: date | None = None
    days_ago: int | None = None
    ago: timedelta | None = None

    def resolve(self, now: datetime, *, end: bool = False) -> datetime:
        """Return the instant, in the zone of `now`; of a whole day its first, or the next day's for an `end`."""
        if self.ago is not None:
            return now - self.ago
        if self.at is not None:
            return self.at if self.at.tzinfo else self.at.replace(tzinfo=now.tzinfo)
        day = self.day or now.date() - timedelta(days=self.days_ago or 0)
        return datetime.combine(day + timedelta(days=int(end)), time(), tzinfo=now.tzinfo)


def read(text: str) -> Moment | None:
    """Read a time; None where it is none."""
    text = text.strip().lower()
    if text in _DAYS:
        return Moment(days_ago=_DAYS[text])
    if found := _AGO.fullmatch(text):
        ago = timedelta(**{_UNITS[found[2]]: int(found[1])})
        return Moment(ago=ago) if ago <= _LONGEST else None
    try:
        if len(text) <= 10:
            day = date.fromisoformat(text)
            return Moment(day=day) if _FIRST <= day.year <= _LAST else None
        at = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return Moment(at=at) if _FIRST <= at.year <= _LAST else None


def instant(text: str, now: datetime) -> datetime | None:
    """Return the instant that was typed, in the zone of `now`; nothing is none. Raises: ValueError."""
    if not text:
        return None
    found = read(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no time. Possible are {EXAMPLES}.")
    return found.resolve(now)


def write(when: datetime) -> str:
    """Write an instant as addresses carry it: in UTC, to the second where it needs that."""
    utc = when.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M}Z" if not utc.second else f"{utc:%Y-%m-%dT%H:%M:%S}Z"
