"""A filter of runs as it is stored, in words: which runs a bulk action means. Shape only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final

from django.utils.dateparse import parse_datetime

from console import formats
from console.forms.run_terms import SIGNS
from workflows.queries.run_matching import RunFilter

Json = Any
_ORDER: Final = tuple(field.name for field in fields(RunFilter))
_AMOUNTS: Final = {"cost": "${}", "tokens": "{}", "duration": "{} s"}


def told(stored: Mapping[str, Json]) -> str:
    """Say the conditions one after the other: `state failed or stuck, cost ≥ $2.5`; empty where there is none."""
    states = [*stored.get("states", ()), *(["attention"] if stored.get("attention") else ())]
    known = {**stored, "states": states} if states else {**stored}
    known.pop("attention", None)
    return ", ".join(_words(name, known[name]) for name in _ORDER if name in known)


def _words(name: str, value: Json) -> str:
    return _WORDS[name](value) if name in _WORDS else f"{name} {value}"


def _bounds(bounds: list[Mapping[str, str]]) -> str:
    return ", ".join(
        f"{each['of']} {SIGNS[each['comparison']]} {_AMOUNTS[each['of']].format(each['amount'])}"
        for each in bounds
    )


_WORDS: Final[Mapping[str, Callable[[Json], str]]] = {
    "text": lambda text: f"the text “{text}”",
    "phrases": lambda phrases: ", ".join(f"the text “{phrase}”" for phrase in phrases),
    "states": lambda states: f"state {' or '.join(states)}",
    "tags": lambda tags: f"{'tags' if len(tags) > 1 else 'tag'} {' and '.join(tags)}",
    "taint": lambda by: "a taint of any quarantine" if by == "any" else f"a taint of quarantine {by}",
    "group": lambda number: f"error group {number}",
    "bounds": _bounds,
    "since": lambda when: f"since {formats.instant(parse_datetime(when))}",
    "until": lambda when: f"until {formats.instant(parse_datetime(when))}",
}
