"""The tests of the expression language (`is defined`, `is number`, …), pure, over plain JSON values.

May not: look at anything but the value and the test's arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from jinja2.runtime import Undefined

from workflows.spec import meter
from workflows.spec.meter import RefusedError, kind_of
from workflows.spec.operations import holds
from workflows.spec.texts import text_of


def _compared(operator: str, left: Any, right: Any) -> bool:
    meter.weigh(left)
    meter.weigh(right)
    return holds(operator, left, right)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def whole(value: Any) -> int:
    """The value, which has to be a whole number (`%` on a text would format it)."""
    if not _is_int(value):
        raise RefusedError(f"a whole number is needed, not a {kind_of(value)}")
    return int(value)


_ORDER = {
    "eq": ("eq", "equalto", "=="),
    "ne": ("ne", "!="),
    "lt": ("lt", "lessthan", "<"),
    "lteq": ("le", "<="),
    "gt": ("gt", "greaterthan", ">"),
    "gteq": ("ge", ">="),
    "in": ("in",),
}

TESTS: Mapping[str, Callable[..., bool]] = {
    "boolean": lambda value: isinstance(value, bool),
    "defined": lambda value: not isinstance(value, Undefined),
    "divisibleby": lambda value, number: whole(value) % whole(number) == 0,
    "even": lambda value: whole(value) % 2 == 0,
    "false": lambda value: value is False,
    "float": lambda value: isinstance(value, float),
    "integer": _is_int,
    "iterable": lambda value: isinstance(value, (list, dict, str)),
    "lower": lambda value: text_of(value).islower(),
    "mapping": lambda value: isinstance(value, dict),
    "none": lambda value: value is None,
    "null": lambda value: value is None,
    "number": lambda value: kind_of(value) == "number",
    "odd": lambda value: whole(value) % 2 == 1,
    "sequence": lambda value: isinstance(value, (list, str)),
    "string": lambda value: isinstance(value, str),
    "true": lambda value: value is True,
    "undefined": lambda value: isinstance(value, Undefined),
    "upper": lambda value: text_of(value).isupper(),
    **{name: partial(_compared, operator) for operator, names in _ORDER.items() for name in names},
}
