"""The time zones that a person may choose. Pure: names in, names out."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

UTC: Final = "UTC"
_REGIONS: Final = (
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
)


@lru_cache(maxsize=1)
def by_region() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """List the zones of each region; old aliases such as `US/Eastern` are left out."""
    names = sorted(available_timezones())
    return tuple(
        (region, tuple(name for name in names if name.startswith(f"{region}/"))) for region in _REGIONS
    )


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset({UTC, *(name for _, names in by_region() for name in names)})


def is_known(name: str) -> bool:
    """Say whether it is one that may be chosen."""
    return name in _names()


def zone(name: str) -> ZoneInfo:
    """Return a zone; UTC for a name that this system does not know any more."""
    return ZoneInfo(name if is_known(name) else UTC)
