"""JSON from outside, read strictly and bounded. Pure; knows no HTTP and no terminal."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 100
MAX_DIGITS: Final = 400


class JsonError(ValueError):
    """This is not JSON that we take; the message says why and where."""


def loads(data: bytes) -> Any:
    """Read JSON as RFC 8259 has it: UTF-8, no NaN, no number beyond a double, bounded in depth.

    Raises:
        JsonError: it is not that.
    """
    try:
        value = json.loads(
            data.decode("utf-8-sig"), parse_constant=_no_constant, parse_float=_finite, parse_int=_integer
        )
    except UnicodeDecodeError as error:
        raise JsonError(f"byte {error.start} is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise JsonError(f"not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise _too_deep() from None
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        _check_depth(value)
    return value


def _no_constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is no JSON value.")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise JsonError(f"the number {text[:40]} is too large: no double holds it.")
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise JsonError(f"the number {text[:20]}… has {len(text)} digits; at most {MAX_DIGITS} are taken.")
    return int(text)


def _too_deep() -> JsonError:
    return JsonError(f"it is nested too deeply: at most {MAX_DEPTH} levels are taken.")


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = [item for item in inner if isinstance(item, dict | list)]
