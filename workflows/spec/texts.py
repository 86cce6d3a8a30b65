"""The functions of the expression language that make texts from texts, each bounded by the meter.

May not: format by a pattern (`%`, `str.format`), which reads attributes and makes texts of any width.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from workflows.spec import meter
from workflows.spec.meter import RefusedError, kind_of

MAX_STRIPPED = 100
METHODS = (
    "capitalize", "count", "endswith", "find", "isdigit", "lower", "lstrip", "removeprefix", "removesuffix",
    "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper",
)  # fmt: skip


def text_of(value: Any) -> str:
    """The value, which has to be a text."""
    if not isinstance(value, str):
        raise RefusedError(f"a text is needed, not a {kind_of(value)}")
    return value


def method(name: str) -> Callable[..., Any]:
    """The text method of that name as a function; its result is never much longer than the text."""
    unbound = getattr(str, name)

    def call(value: Any, *args: Any, **kwargs: Any) -> Any:
        text = text_of(value)
        if name.endswith("strip") and any(
            isinstance(chars, str) and len(chars) > MAX_STRIPPED for chars in args
        ):
            raise RefusedError(
                f"`{name}` takes {MAX_STRIPPED} characters at the most"
            )  # each is looked up for each
        meter.current().text(3 * len(text))
        result = unbound(text, *args, **kwargs)
        if isinstance(result, list):
            meter.current().items(len(result))
        return result

    return call


def replace(value: Any, old: str, new: str, count: int = -1) -> str:
    text = text_of(value)
    meter.current().text(len(text))
    found = text.count(text_of(old)) if count < 0 else min(text.count(text_of(old)), count)
    meter.current().text(len(text) + found * max(0, len(text_of(new)) - len(old)))
    return text.replace(old, new, count)


def center(value: Any, width: int = 80) -> str:
    meter.current().text(width)
    return text_of(value).center(width)


def indent(value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    text = text_of(value)
    margin = width if isinstance(width, str) else " " * min(width, 1_000)
    lines = text.split("\n")
    meter.current().text(len(text) + len(lines) * len(margin))
    rest = [margin + line if line or blank else line for line in lines[1:]]
    return "\n".join([margin + lines[0] if first else lines[0], *rest])


def truncate(
    value: Any, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 5
) -> str:
    text = text_of(value)
    if length < len(end):
        raise RefusedError(f"`truncate` needs a length of at least {len(end)}")
    if len(text) <= length + leeway:
        return text
    kept = text[: length - len(end)]
    return (kept if killwords else kept.rsplit(" ", 1)[0]) + end


def wordcount(value: Any) -> int:
    text = text_of(value)
    meter.current().items(text.count(" ") + text.count("\n"))
    return len(text.split())


def shortened(value: Any, length: int = 60) -> str:
    """The value as a message may show it."""
    if isinstance(value, str):
        return json.dumps(value if len(value) <= length else value[:length] + "…", ensure_ascii=False)
    return f"{value}" if isinstance(value, (int, float)) else f"a {kind_of(value)}"
