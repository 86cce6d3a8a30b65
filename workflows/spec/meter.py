"""Count what one evaluation does, and end it when it does too much.

The method: an expression can spend time only in `for` loops and in the functions of `operations`, `filters`,
`texts` and `conditions`, because the compiler (`sandbox`) turns every operator, access, call, filter and loop
into a call of one of them. Each of those calls charges the meter, by the size of what it is given and of what
it makes, *before* it does the work. So time and memory are bounded in any thread, with no clock, signal or
second process.

May not: read a clock, know Jinja2, or hold anything between two evaluations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

MAX_STEPS = 250_000  # a third of a second of the slowest operations
MAX_TEXT = 4_000_000  # characters in one text, and in all texts of one result together
MAX_LIST = 100_000  # items in one list or mapping that an expression makes
MAX_INT_BITS = 2_048  # a number of about 600 digits
MAX_DEPTH = 100  # nesting of a value
CHARS_PER_STEP = 64  # text is moved this much faster than objects


class RefusedError(Exception):
    """What an expression asks for is impossible, forbidden or too much. The message is for its author."""


class Meter:
    """What one evaluation may still do."""

    __slots__ = ("_chars_left", "_steps_left")

    def __init__(self) -> None:
        self._steps_left = MAX_STEPS
        self._chars_left = MAX_TEXT

    def charge(self, steps: int) -> None:
        self._steps_left -= steps
        if self._steps_left < 0:
            raise RefusedError("it does too much: an expression may loop over and handle only so many values")

    def text(self, length: int) -> None:
        """Charge for making a text of this length."""
        if length > MAX_TEXT:
            raise RefusedError(f"it makes a text of {length:,} characters; the most is {MAX_TEXT:,}")
        self.charge(1 + length // CHARS_PER_STEP)

    def items(self, length: int) -> None:
        """Charge for making a list or mapping of this many items."""
        if length > MAX_LIST:
            raise RefusedError(f"it makes a list of {length:,} items; the most is {MAX_LIST:,}")
        self.charge(1 + length)

    def output(self, length: int) -> None:
        """Charge for characters that go into the result."""
        self.text(length)
        self._chars_left -= length
        if self._chars_left < 0:
            raise RefusedError(f"its result has more than {MAX_TEXT:,} characters")


_current: ContextVar[Meter] = ContextVar("workflows_spec_meter")


def current() -> Meter:
    return _current.get()


@contextmanager
def metered() -> Iterator[Meter]:
    """Give everything inside one meter (an evaluation inside another one shares its meter)."""
    meter = _current.get(None)
    if meter is not None:
        yield meter
        return
    meter = Meter()
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)


def size(value: object) -> int:
    """What it costs to look at the value's own items, not at theirs."""
    if isinstance(value, str):
        return len(value) // CHARS_PER_STEP
    return len(value) if isinstance(value, (list, dict)) else 0


def weigh(value: object, *, meter: Meter | None = None, depth: int = 0) -> None:
    """Charge for a walk through the whole value; one that holds a part of itself again and again is huge."""
    meter = meter or current()
    if depth > MAX_DEPTH:
        raise RefusedError(f"a value is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        meter.text(len(value))
    elif isinstance(value, (list, dict)):
        meter.charge(1 + len(value))
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, (str, list, dict)):
                weigh(item, meter=meter, depth=depth + 1)


def integer(value: int) -> int:
    """The number itself, if it is not absurdly long."""
    if value.bit_length() > MAX_INT_BITS:
        raise RefusedError(f"it makes a number of more than {int(MAX_INT_BITS * 0.3)} digits")
    return value


def plain(value: object, *, meter: Meter, pay: Callable[[int], None], depth: int = 0) -> Any:
    """A copy as plain JSON: tuples become lists; what JSON cannot say is refused. `pay` charges for texts."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        pay(len(value))
        return str(value)
    if isinstance(value, int):
        return integer(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise RefusedError("its result is not a finite number")
        return value
    return _plain_items(value, meter=meter, pay=pay, depth=depth + 1)


def _plain_items(value: object, *, meter: Meter, pay: Callable[[int], None], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise RefusedError(f"its result is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, (list, tuple)):
        meter.charge(1 + len(value))
        return [plain(item, meter=meter, pay=pay, depth=depth) for item in value]
    if isinstance(value, dict):
        meter.charge(1 + len(value))
        return {_key(key): plain(item, meter=meter, pay=pay, depth=depth) for key, item in value.items()}
    absent = getattr(value, "_undefined_message", None)  # a name or key that is not there says so itself
    raise RefusedError(absent or f"its result holds a {kind_of(value)}, which is not a JSON value")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise RefusedError(f"a key of a mapping must be text, and {key!r} is a {kind_of(key)}")
    return key


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "boolean"),
    (str, "text"),
    ((int, float), "number"),
    ((list, tuple), "list"),
    (dict, "mapping"),
)


def kind_of(value: object) -> str:
    """The word that messages use for the value's type."""
    if value is None:
        return "null"
    return next((word for types, word in _KINDS if isinstance(value, types)), type(value).__name__)
