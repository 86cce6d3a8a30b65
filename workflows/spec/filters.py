"""The filters and methods of the expression language: pure functions over plain JSON, bounded by the meter.

They behave as Jinja2's of the same name, but: a text that is no number is an error for `int` and `float`
unless a default is given, `tojson` does not escape for HTML, and what gives pairs gives lists of two.
May not: read a clock, be random, do I/O, or reach into Python objects.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from jinja2.runtime import Undefined

from workflows.spec import meter, operations, texts
from workflows.spec.conditions import TESTS
from workflows.spec.meter import RefusedError, kind_of
from workflows.spec.operations import missing, present


def items_of(value: Any) -> list[Any]:
    """The items of a list (the keys of a mapping, the characters of a text), each paid for."""
    if not isinstance(value, (list, dict, str)):
        raise RefusedError(f"a {kind_of(value)} has no items; lists, mappings and texts have")
    meter.current().items(len(value))
    return list(value)


def default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    if isinstance(value, Undefined) or (boolean and not value):
        return default_value
    return value


def length(value: Any) -> int:
    if not isinstance(value, (list, dict, str)):
        raise RefusedError(f"a {kind_of(value)} has no length; lists, mappings and texts have")
    return len(value)


def first(value: Any) -> Any:
    return value[0] if (value := items_of(value)) else missing("`first` of an empty list")


def last(value: Any) -> Any:
    return value[-1] if (value := items_of(value)) else missing("`last` of an empty list")


def attribute_of(item: Any, path: Any) -> Any:
    """`attribute="a.b.0"` of map, sort, sum and others: keys, dot by dot."""
    parts = path.split(".") if isinstance(path, str) else [path]
    label = "an item"
    for part in parts:
        key = int(part) if isinstance(part, str) and part.isdigit() and isinstance(item, list) else part
        item, label = operations.access(item, key, label), f"{label}.{part}"
    return item


def keyed(attribute: Any, *, fold: bool = False) -> Callable[[Any], Any]:
    """How a filter looks at each item: one of its attributes, letter case folded where asked."""

    def key(item: Any) -> Any:
        value = item if attribute is None else present(attribute_of(item, attribute))
        meter.weigh(value)
        return value.lower() if fold and isinstance(value, str) else value

    return key


def sort(value: Any, reverse: bool = False, case_sensitive: bool = False, attribute: Any = None) -> list[Any]:
    items = items_of(value)
    meter.current().charge(len(items) * max(1, len(items).bit_length()))
    keys = [keyed(attribute, fold=not case_sensitive)(item) for item in items]
    if len({kind_of(key) for key in keys} & {"null", "mapping"}) or len({kind_of(key) for key in keys}) > 1:
        raise RefusedError(
            "`sort` needs values of one kind, all texts or all numbers; `attribute` names what to sort by"
        )
    order = sorted(range(len(items)), key=keys.__getitem__, reverse=bool(reverse))
    return [items[index] for index in order]


def extreme(
    choose: Callable[..., Any], value: Any, case_sensitive: bool = False, attribute: Any = None
) -> Any:
    items = items_of(value)
    if not items:
        return missing(f"`{choose.__name__}` of an empty list")
    return choose(items, key=keyed(attribute, fold=not case_sensitive))


def unique(value: Any, case_sensitive: bool = False, attribute: Any = None) -> list[Any]:
    key = keyed(attribute, fold=not case_sensitive)
    seen: dict[str, Any] = {}
    for item in items_of(value):
        seen.setdefault(json.dumps(key(item), sort_keys=True), item)
    return list(seen.values())


def groupby(value: Any, attribute: Any, case_sensitive: bool = False) -> list[Any]:
    key = keyed(attribute, fold=not case_sensitive)
    groups: dict[str, list[Any]] = {}
    for item in sort(value, case_sensitive=case_sensitive, attribute=attribute):
        groups.setdefault(json.dumps(key(item), sort_keys=True), [attribute_of(item, attribute), []])[
            1
        ].append(item)
    return list(groups.values())


def total(value: Any, attribute: Any = None, start: Any = 0) -> Any:
    for item in items_of(value):
        start = operations.binary("+", start, item if attribute is None else attribute_of(item, attribute))
    return start


def map_(value: Any, *args: Any, attribute: Any = None, **kwargs: Any) -> list[Any]:
    items = items_of(value)
    if attribute is not None:
        fallback = kwargs.get("default", missing)
        found = (attribute_of(item, attribute) for item in items)
        return [
            fallback if isinstance(item, Undefined) and "default" in kwargs else present(item)
            for item in found
        ]
    if not args or args[0] not in FILTERS:
        raise RefusedError(f"`map` needs the name of a filter or attribute=…; got {args[:1]!r}")
    return [present(apply(args[0], FILTERS[args[0]], item, *args[1:], **kwargs)) for item in items]


def choose(value: Any, *args: Any, wanted: bool, by_attribute: bool) -> list[Any]:
    """`select`, `reject` and, by an attribute of each item, `selectattr`, `rejectattr`."""
    attribute, args = (args[0], args[1:]) if by_attribute else (None, args)
    if args and args[0] not in TESTS:
        raise RefusedError(f"there is no test {args[0]!r}; there are: {', '.join(sorted(TESTS))}")

    def passes(item: Any) -> bool:
        item = attribute_of(item, attribute) if by_attribute else item
        return bool(apply(args[0], TESTS[args[0]], item, *args[1:]) if args else present(item))

    return [item for item in items_of(value) if passes(item) is wanted]


def batch(value: Any, linecount: int, fill_with: Any = None) -> list[Any]:
    items = items_of(value)
    if linecount < 1 or linecount > meter.MAX_LIST:
        raise RefusedError("`batch` needs a size of at least 1")
    rows = [items[start : start + linecount] for start in range(0, len(items), linecount)]
    if rows and fill_with is not None:
        meter.current().items(linecount)
        rows[-1] = rows[-1] + [fill_with] * (linecount - len(rows[-1]))
    return rows


def pairs(value: Any) -> list[Any]:
    if not isinstance(value, dict):
        raise RefusedError(f"`items` needs a mapping, not a {kind_of(value)}")
    meter.current().items(2 * len(value))
    return [[key, item] for key, item in value.items()]


def dictsort(value: Any, case_sensitive: bool = False, by: str = "key", reverse: bool = False) -> list[Any]:
    return sort(pairs(value), reverse, case_sensitive, 0 if by == "key" else 1)


def values(value: Any) -> list[Any]:
    return [item for _, item in pairs(value)]


def reverse(value: Any) -> Any:
    return value[::-1] if isinstance(value, str) else items_of(value)[::-1]


_UNSET = object()


def as_int(value: Any, default: Any = _UNSET, base: int = 10) -> Any:
    try:
        number = int(value, base) if isinstance(value, str) else int(value)
    except (TypeError, ValueError, OverflowError):
        return _unparsed(value, "a whole number", default)
    return meter.integer(number)


def as_float(value: Any, default: Any = _UNSET) -> Any:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return _unparsed(value, "a number", default)
    return number if math.isfinite(number) else _unparsed(value, "a finite number", default)


def _unparsed(value: Any, wanted: str, fallback: Any) -> Any:
    if fallback is not _UNSET:
        return fallback
    raise RefusedError(f"{texts.shortened(value)} is not {wanted}; give a default=… if it may not be one")


def round_(value: Any, precision: int = 0, method: str = "common") -> float:
    if method not in ("common", "ceil", "floor") or abs(precision) > 300:
        raise RefusedError("`round` takes a precision up to 300 and one of the methods common, ceil, floor")
    if method == "common":
        return round(float(value), precision)
    factor = 10.0**precision
    return float(getattr(math, method)(value * factor)) / factor


def tojson(value: Any, indent: int | None = None) -> str:
    if indent is not None and not 0 <= indent <= 8:
        raise RefusedError("`tojson` takes an indent from 0 to 8")
    return operations.to_json(value, indent)


def join(value: Any, d: str = "", attribute: Any = None) -> str:
    parts = items_of(value)
    found = [
        operations.to_text(part if attribute is None else attribute_of(part, attribute)) for part in parts
    ]
    meter.current().text(sum(map(len, found)) + len(d) * len(found))
    return d.join(found)


def urlencoded(value: Any) -> str:
    if isinstance(value, dict):
        return urlencode([(key, operations.to_text(item)) for key, item in pairs(value)])
    text = operations.to_text(value)
    meter.current().text(3 * len(text))
    return quote(text, safe="/")


FILTERS: Mapping[str, Callable[..., Any]] = {
    "abs": abs,
    "batch": batch,
    "capitalize": texts.method("capitalize"),
    "center": texts.center,
    "count": length,
    "d": default,
    "default": default,
    "dictsort": dictsort,
    "first": first,
    "float": as_float,
    "groupby": groupby,
    "indent": texts.indent,
    "int": as_int,
    "items": pairs,
    "join": join,
    "keys": items_of,
    "last": last,
    "length": length,
    "list": items_of,
    "lower": texts.method("lower"),
    "map": map_,
    "max": partial(extreme, max),
    "min": partial(extreme, min),
    "reject": partial(choose, wanted=False, by_attribute=False),
    "rejectattr": partial(choose, wanted=False, by_attribute=True),
    "replace": texts.replace,
    "reverse": reverse,
    "round": round_,
    "select": partial(choose, wanted=True, by_attribute=False),
    "selectattr": partial(choose, wanted=True, by_attribute=True),
    "sort": sort,
    "string": operations.to_text,
    "sum": total,
    "title": texts.method("title"),
    "tojson": tojson,
    "trim": texts.method("strip"),
    "truncate": texts.truncate,
    "unique": unique,
    "upper": texts.method("upper"),
    "urlencode": urlencoded,
    "values": values,
    "wordcount": texts.wordcount,
}


def _looked_up(look: Callable[[list[Any], Any], int], items: list[Any], item: Any) -> int:
    meter.weigh(items)
    return look(items, item)


_METHODS: Mapping[type, Mapping[str, Callable[..., Any]]] = {
    str: {name: texts.method(name) for name in texts.METHODS}
    | {"replace": texts.replace, "join": lambda text, parts: join(parts, text)},
    dict: {"items": pairs, "keys": items_of, "values": values, "get": dict.get},
    list: {"index": partial(_looked_up, list.index), "count": partial(_looked_up, list.count)},
}


def call_method(value: Any, name: str, label: str, *args: Any, **kwargs: Any) -> Any:
    """`value.name(…)`: one of the few methods that texts, mappings and lists have here."""
    present(value)
    methods = _METHODS.get(type(value), {})
    if name not in methods:
        known = f"; it has: {', '.join(sorted(methods))}" if methods else ""
        raise RefusedError(f"{label} is a {kind_of(value)}; it has no method {name!r}{known}")
    return apply(name, methods[name], value, *args, **kwargs)


def apply(name: str, function: Callable[..., Any], value: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a filter, test or method by its name: arguments paid for, a wrong one explained."""
    counter = meter.current()
    counter.charge(2 + meter.size(value))
    if name not in TOLERANT:
        present(value)
    for argument in (*args, *kwargs.values()):
        meter.weigh(present(argument))
    try:
        return function(value, *args, **kwargs)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError) as error:
        raise RefusedError(f"`{name}` of {texts.shortened(value)} failed: {error}") from error


TOLERANT = frozenset({"default", "d", "defined", "undefined"})
