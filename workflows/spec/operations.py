"""The operators of the expression language over plain JSON values, each bounded by the meter.

May not: touch an attribute of a Python object (but the few of a loop), call a value, or change one in place.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import StrictUndefined
from jinja2.runtime import LoopContext, Undefined

from workflows.spec import meter
from workflows.spec.meter import RefusedError, kind_of

LOOP_FIELDS = frozenset(
    {"index", "index0", "first", "last", "length", "revindex", "revindex0", "previtem", "nextitem"}
)
MAX_RANGE = 10_000
MAX_EXPONENT = 1_000


class Missing(StrictUndefined):
    """A name or key that is not there: it can be tested and given a default; any other use is an error."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        return self._undefined_hint or f"there is no name '{self._undefined_name}' here"


def missing(message: str) -> Missing:
    return Missing(hint=message)


def present(value: Any) -> Any:
    """The value itself; a missing one is an error that says what is missing."""
    if isinstance(value, Undefined):
        raise RefusedError(value._undefined_message)
    return value


def access(value: Any, key: Any, label: str) -> Any:
    """`value.key` or `value[key]`: keys only, never methods. `label`: what the author wrote for the value."""
    meter.current().charge(1)
    present(value)
    present(key)
    if value is None:
        return None
    if isinstance(value, dict):
        return _of_mapping(value, key, label)
    if isinstance(value, (list, str)) and isinstance(key, int) and not isinstance(key, bool):
        return value[key] if -len(value) <= key < len(value) else missing(_no_item(value, key, label))
    if isinstance(value, LoopContext) and key in LOOP_FIELDS:
        return getattr(value, key)
    return missing(f"{label} is a {kind_of(value)}; it has no key {key!r}")


def _of_mapping(value: dict[str, Any], key: Any, label: str) -> Any:
    if isinstance(key, str) and key in value:
        return value[key]
    names = sorted(str(name) for name in list(value)[:200])
    has = f"it has: {', '.join(names[:20])}{', …' if len(names) > 20 else ''}" if names else "it is empty"
    return missing(f"{label} has no key {key!r}; {has}")


def _no_item(value: list[Any] | str, key: int, label: str) -> str:
    return f"{label} has no item {key}; it has {len(value)}"


def slice_(value: Any, start: Any, stop: Any, step: Any) -> Any:
    present(value)
    if value is None:
        return None
    if not isinstance(value, (list, str)):
        raise RefusedError(f"a {kind_of(value)} cannot be sliced; only lists and texts can")
    bounds = slice(present(start), present(stop), present(step))
    length = len(range(*bounds.indices(len(value))))
    if isinstance(value, str):
        meter.current().text(length)
    else:
        meter.current().items(length)
    return value[bounds]


def concat(parts: list[Any]) -> str:
    """`a ~ b`: the texts of the values, joined."""
    texts = [to_text(part) for part in parts]
    meter.current().text(sum(map(len, texts)))
    return "".join(texts)


def to_text(value: Any) -> str:
    """How a value stands inside a text: a text as it is, anything else as JSON."""
    present(value)
    if isinstance(value, str):
        return value
    return to_json(value)


def to_json(value: Any, indent: int | None = None) -> str:
    counter = meter.current()
    value = meter.plain(value, meter=counter, pay=counter.text)
    text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    counter.text(len(text))
    return text


def each(value: Any) -> list[Any]:
    """What a `for` loop walks over."""
    present(value)
    if not isinstance(value, (list, dict, str)):
        raise RefusedError(f"a {kind_of(value)} cannot be looped over; lists, mappings and texts can")
    meter.current().items(len(value))
    meter.current().charge(len(value))
    return list(value)


def numbers(start: int, stop: int | None = None, step: int = 1) -> list[int]:
    """`range(…)`, as a list."""
    values = range(start) if stop is None else range(start, stop, step)
    if len(values) > MAX_RANGE:
        raise RefusedError(f"range() may have {MAX_RANGE:,} items at the most")
    meter.current().items(len(values))
    return list(values)


_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}


def compare(values: list[Any], *names: str) -> bool:
    """`a < b <= c`: holds when every neighbouring pair does."""
    for value in values:
        meter.weigh(present(value))
    return all(holds(name, left, right) for name, left, right in zip(names, values, values[1:], strict=False))


def holds(name: str, left: Any, right: Any) -> bool:
    if name in ("eq", "ne"):
        return bool(left == right) is (name == "eq")
    if name in ("in", "notin"):
        return contains(right, left) is (name == "in")
    if {kind_of(left), kind_of(right)} <= {"number", "boolean"} or kind_of(left) == kind_of(right) in (
        "text",
        "list",
    ):
        return _ORDER[name](left, right)
    raise RefusedError(f"a {kind_of(left)} cannot be ordered against a {kind_of(right)}")


def contains(value: Any, item: Any) -> bool:
    if isinstance(value, str) and isinstance(item, str):
        return item in value
    if isinstance(value, list):
        return item in value
    if isinstance(value, dict):
        return isinstance(item, str) and item in value
    raise RefusedError(f"`in` cannot look for a {kind_of(item)} in a {kind_of(value)}")


def binary(symbol: str, left: Any, right: Any) -> Any:
    """`left symbol right` for + - * / // % **."""
    counter = meter.current()
    counter.charge(1)
    present(left)
    present(right)
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return _arithmetic(symbol, left, right)
    if symbol == "+" and isinstance(left, str) and isinstance(right, str):
        counter.text(len(left) + len(right))
        return left + right
    if symbol == "+" and isinstance(left, list) and isinstance(right, list):
        counter.items(len(left) + len(right))
        return left + right
    raise RefusedError(
        f"`{symbol}` cannot work on a {kind_of(left)} and a {kind_of(right)}; texts are joined with `~`"
    )


_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}


def _arithmetic(symbol: str, left: float, right: float) -> Any:
    if symbol == "**" and abs(right) > MAX_EXPONENT:
        raise RefusedError(f"an exponent may be {MAX_EXPONENT} at the most")
    if symbol == "**" and isinstance(left, int) and left.bit_length() * abs(right) > 2 * meter.MAX_INT_BITS:
        raise RefusedError("its power is too large")
    result = _ARITHMETIC[symbol](left, right)
    if isinstance(result, complex) or (isinstance(result, float) and not math.isfinite(result)):
        raise RefusedError(f"{left} {symbol} {right} is not a finite number")
    return meter.integer(result) if isinstance(result, int) else result


def unary(symbol: str, value: Any) -> Any:
    present(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RefusedError(f"`{symbol}` cannot work on a {kind_of(value)}")
    return -value if symbol == "-" else value
