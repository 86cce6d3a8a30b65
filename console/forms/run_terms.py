"""What the filter's text means: `state:failed cost>0.1 "any words"`. Pure: text in, terms and problems out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Final, Literal

from console.forms import moments
from workflows import states
from workflows.queries.run_matching import Comparison

Amount = Literal["cost", "tokens", "duration"]
# Several states under one name, and how a run is shown by its steps.
OPEN_STATES: Final = ("queued", "running", "waiting", "paused")
STATE_WORDS: Final = (*states.RUN, "active", "attention", "unknown", "stuck")
_ALIASES: Final = {
    "env": "environment",
    "from": "since",
    "to": "until",
    "status": "state",
    "error_class": "error",
}
NAMES: Final = ("workflow", "environment", "session", "error", "tag")
AMOUNTS: Final = ("cost", "tokens", "duration")
KEYS: Final = ("state", *NAMES, "release", "group", "taint", "since", "until", *AMOUNTS)
# Fields of which a run has one: two different values would match nothing.
SINGLE: Final = ("workflow", "environment", "session", "error", "release", "group", "taint")
_COMPARISONS: Final[Mapping[str, Comparison]] = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
# As they are shown.
SIGNS: Final = {"gt": ">", "gte": "≥", "lt": "<", "lte": "≤"}
_MAX_TEXT: Final = 200
_MAX_RELEASE: Final = 2**31 - 1
_MAX_AMOUNT: Final = Decimal(10) ** 12
_SCALES: Final[Mapping[str, Mapping[str, Decimal]]] = {
    "cost": {"": Decimal(1)},
    "tokens": {"": Decimal(1), "k": Decimal(1000), "m": Decimal(1_000_000)},
    "duration": {
        "": Decimal(1),
        "ms": Decimal("0.001"),
        "s": Decimal(1),
        "m": Decimal(60),
        "h": Decimal(3600),
        "d": Decimal(86400),
    },
}
_NUMBER: Final = re.compile(r"\$?(\d{1,15}(?:\.\d{1,10})?|\.\d{1,10})([a-z]{0,2})")
_PART: Final = re.compile(
    r"""(?P<key>[A-Za-z_]+)(?P<sign>:|>=|<=|>|<|=)(?P<value>"[^"]*"?|[^\s"]*)(?=\s|$)"""
    r"""|"(?P<phrase>[^"]*)"?"""
    r"""|(?P<word>\S+)"""
)


@dataclass(frozen=True)
class Term:
    """One condition: `value` as it was typed, without quotes; `place` where it stands in the text."""

    key: str
    value: str
    comparison: Comparison | None = None
    amount: Decimal = Decimal(0)
    place: tuple[int, int] | None = None


@dataclass(frozen=True)
class Terms:
    """What a text says: conditions, the free words as one text, quoted ones each alone, and what is wrong."""

    conditions: tuple[Term, ...] = ()
    text: str = ""
    phrases: tuple[Term, ...] = ()
    problems: tuple[str, ...] = ()


class _Wrong(ValueError):
    """A term that means nothing; its text says why and what would."""


@dataclass
class _Reading:
    conditions: list[Term] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    phrases: list[Term] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def parse(text: str) -> Terms:
    """Read a filter's text; what cannot be read is told in `problems`."""
    found = _Reading()
    for part in _PART.finditer(text):
        try:
            _take(part, found)
        except _Wrong as problem:
            found.problems.append(str(problem))
    return Terms(
        tuple(found.conditions),
        " ".join(found.words),
        tuple(found.phrases),
        tuple(dict.fromkeys(found.problems)),
    )


def _take(part: re.Match[str], found: _Reading) -> None:
    if part["word"]:
        found.words.append(part["word"].replace('"', ""))
    elif part["key"] is None:
        if part["phrase"].strip():
            found.phrases.append(Term("text", part["phrase"].strip(), place=part.span()))
    elif _is_plain(part):
        found.words.append(part[0])
    else:
        value = part["value"].strip('"').strip()
        found.conditions.append(condition(part["key"].lower(), part["sign"], value, place=part.span()))


def _is_plain(part: re.Match[str]) -> bool:
    """Say whether it only looks like a condition: `https://…`, or `gateway:` with words after it."""
    known = _ALIASES.get(part["key"].lower(), part["key"].lower()) in KEYS
    return part["value"].startswith("/") or (not known and not part["value"])


def condition(key: str, sign: str, value: str, *, place: tuple[int, int] | None = None) -> Term:
    """Read one condition. Raises: ValueError, saying what is wrong and what would be right."""
    key = _ALIASES.get(key, key)
    if key not in KEYS:
        near = get_close_matches(key, [*KEYS, *_ALIASES], n=1)
        hint = f"did you mean “{near[0]}”?" if near else f"there are {', '.join(KEYS)}."
        raise _Wrong(f"There is no filter “{key}”: {hint} To look for the text itself, put it in quotes.")
    if not value:
        raise _Wrong(f"“{key}” needs a value: {_EXAMPLES[key]}.")
    if key in AMOUNTS:
        return _amount(key, sign, value, place)
    if sign not in (":", "="):
        raise _Wrong(f"“{key}” cannot be compared with {sign}: write {_EXAMPLES[key]}.")
    return Term(key, _READERS[key](value) if key in _READERS else value[:_MAX_TEXT], place=place)


def _amount(key: str, sign: str, value: str, place: tuple[int, int] | None) -> Term:
    comparison = _COMPARISONS.get(sign)
    if comparison is None:
        raise _Wrong(f"“{key}” needs a comparison: {_EXAMPLES[key]}.")
    found = _NUMBER.fullmatch(value.lower().replace(",", ""))
    scale = _SCALES[key].get(found[2]) if found else None
    if found is None or scale is None:
        raise _Wrong(f"“{value}” is no {_MEANS[key]}: write {_EXAMPLES[key]}.")
    try:
        amount = Decimal(found[1]) * scale
    except InvalidOperation:
        amount = _MAX_AMOUNT
    if amount >= _MAX_AMOUNT:
        raise _Wrong(f"“{value}” is more than any run has.")
    return Term(key, value, comparison, amount, place)


def _state(value: str) -> str:
    words = [word for word in value.lower().replace(" ", "").split(",") if word]
    wrong = [word for word in words if word not in STATE_WORDS]
    if wrong or not words:
        told = wrong[0] if wrong else value
        raise _Wrong(f"“{told}” is no state: there are {', '.join(STATE_WORDS)}.")
    return ",".join(dict.fromkeys(words))


def _release(value: str) -> str:
    digits = value.lower().removeprefix("v")
    if not (digits.isascii() and digits.isdigit()) or not 0 < int(digits[:12]) <= _MAX_RELEASE:
        raise _Wrong(f"“{value}” is no number of a release: write {_EXAMPLES['release']}.")
    return str(int(digits[:12]))


def _group(value: str) -> str:
    return _number(value, "an error group", "group")


def _taint(value: str) -> str:
    return "any" if value.lower() == "any" else _number(value, "a quarantine", "taint")


def _number(value: str, of: str, key: str) -> str:
    if not (value.isascii() and value.isdigit() and len(value) <= 9 and int(value)):
        raise _Wrong(f"“{value}” is no number of {of}: write {_EXAMPLES[key]}.")
    return str(int(value))


def _moment(value: str) -> str:
    if moments.read(value) is None:
        raise _Wrong(f"“{value}” is no time: write {moments.EXAMPLES}.")
    return value


_READERS: Final[Mapping[str, Callable[[str], str]]] = {
    "state": _state,
    "release": _release,
    "group": _group,
    "taint": _taint,
    "since": _moment,
    "until": _moment,
}
_EXAMPLES: Final[Mapping[str, str]] = {
    "state": "state:failed (or " + ", ".join(STATE_WORDS) + ")",
    "workflow": "workflow:docs-assistant",
    "environment": "environment:production",
    "session": "session:customer-42",
    "error": "error:timeout",
    "tag": "tag:vip",
    "release": "release:3",
    "group": "group:12",
    "taint": "taint:7 or taint:any",
    "since": "since:2026-11-20 or since:2h",
    "until": "until:2026-11-21 or until:1h",
    "cost": "cost>0.10",
    "tokens": "tokens>5k",
    "duration": "duration>30s",
}
_MEANS: Final[Mapping[str, str]] = {
    "cost": "amount of US dollars",
    "tokens": "number of tokens",
    "duration": "length of time",
}


def without(text: str, place: tuple[int, int]) -> str:
    """Return the text with one of its terms taken out."""
    return " ".join((text[: place[0]].strip() + " " + text[place[1] :].strip()).split())


def quoted(value: str) -> str:
    """Write a value so that it stays one in a text."""
    bare = value.replace('"', "")
    return f'"{bare}"' if re.search(r"\s", bare) or not bare else bare
