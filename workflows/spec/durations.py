"""Durations as documents write them: `500ms`, `30s`, `10m`, `2h`, `7d` (pure)."""

from __future__ import annotations

import re

PATTERN = r"^(?:[0-9]{1,9}(?:\.[0-9]{1,3})?)(?:ms|s|m|h|d)$"
EXPECTED = "a duration such as 500ms, 30s, 10m, 2h or 7d"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPLIT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)\Z")


def seconds(text: str) -> float:
    """The duration in seconds.

    Raises: ValueError.
    """
    match = _SPLIT.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not {EXPECTED}")
    return round(float(match[1]) * _UNITS[match[2]], 6)


def optional_seconds(text: str | None) -> float | None:
    return None if text is None else seconds(text)
