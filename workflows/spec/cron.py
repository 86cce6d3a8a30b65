"""When a schedule fires: five-field cron expressions in a time zone, clock changes included (pure).

Two rules, by the hour field. `*`: the schedule goes by elapsed time, so that `*/10 * * * *` fires every ten minutes
of the day on which clocks change too. Anything else goes by the clock on the wall: a local time that is skipped
fires once, at the first moment after the gap; one that comes twice fires once, the first time.
May not: read the clock; moments are passed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from workflows.spec import near

EXPECTED: Final = (
    "five fields (minute, hour, day of month, month, day of week), such as `0 6 * * 1-5` "
    "for six o'clock from Monday to Friday"
)
MAX_LENGTH: Final = 200
_NEVER: Final = "names a day that never comes, such as the 31st of February; expected one that does"
_FIELDS: Final = ("minute", "hour", "day-of-month", "month", "day-of-week")
_RANGES: Final = ("0 to 59", "0 to 23", "1 to 31 or L", "1 to 12 or JAN to DEC", "0 to 7 or SUN to SAT")


def problem(expression: str) -> str | None:
    """Why this is no cron expression, and what is expected; None if it is one."""
    fields = expression.split()
    if len(fields) != len(_FIELDS) or len(expression) > MAX_LENGTH:
        return f"is no cron expression; expected {EXPECTED}"
    try:
        next(CronSim(expression, datetime(2024, 1, 1)))  # noqa: DTZ001  wall time
    except CronSimError as error:
        return _field_problem(str(error).removeprefix("Bad "), fields)
    except (StopIteration, ValueError, OverflowError):
        return _NEVER
    return None


def explained(expression: str) -> str:
    """Return what a sound expression says, in words: `At 06:00 on Monday through Friday`."""
    return str(CronSim(expression, datetime(2024, 1, 1)).explain())  # noqa: DTZ001  any


def _field_problem(name: str, fields: list[str]) -> str:
    number = _FIELDS.index(name) if name in _FIELDS else 0
    if name == "day-of-month" and problem(f"0 0 {fields[number]} * *") is None:
        return _NEVER
    return (
        f"the field {name}, {fields[number]!r}, is none of {_RANGES[number]}, `*`, a range `a-b`, a list `a,b` "
        f"or a step `*/n`; expected {EXPECTED}"
    )


def zone_problem(name: str) -> str | None:
    """Why this is no time zone; None if it is one."""
    if name in _zones():
        return None
    meant = near.meant(name, _zones()) or "; expected a name such as Europe/Berlin or UTC"
    return f"there is no time zone {name[:80]!r}{meant}"


def after(moment: datetime, expression: str, zone: str) -> datetime:
    """Return the first moment after this one at which the schedule fires, in UTC."""
    return next(following(moment, expression, zone))


def following(moment: datetime, expression: str, zone: str) -> Iterator[datetime]:
    """The moments after this one at which the schedule fires, in UTC, strictly rising, for ever.

    Raises: ValueError for an expression that `problem` refuses.
    """
    place = ZoneInfo(zone)
    local = moment.astimezone(place)
    elapsed = expression.split()[1] == "*"
    last = moment
    try:
        for found in CronSim(expression, local if elapsed else local.replace(tzinfo=None)):
            fires = (found if elapsed else _on_the_wall(found, place)).astimezone(UTC)
            if fires > last:
                last = fires
                yield fires
    except CronSimError as error:
        raise ValueError(str(error)) from error


def _on_the_wall(naive: datetime, place: ZoneInfo) -> datetime:
    """The moment at which the clock on the wall shows this, the first time; after a gap if it is skipped."""
    while not _exists(local := naive.replace(tzinfo=place)):
        naive += timedelta(minutes=1)
    return local


def _exists(local: datetime) -> bool:
    there_and_back = local.astimezone(UTC).astimezone(local.tzinfo)
    return there_and_back.replace(tzinfo=None) == local.replace(tzinfo=None)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
