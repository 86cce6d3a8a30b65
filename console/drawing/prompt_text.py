"""The texts of a prompt as HTML: its template with the variables marked, and what they became. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from django.utils.safestring import SafeString, mark_safe

from console.formats import printable

_VARIABLE: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_SHORTEST: Final = 3  # a value of two letters is found everywhere
_MOST: Final = 40  # marks of one variable in one text


def template(text: str) -> SafeString:
    """Mark what a template fills in."""
    parts, end = [], 0
    for found in _VARIABLE.finditer(text):
        parts.append(_plain(text[end : found.start()]))
        parts.append(f'<mark class="variable">{_plain(found[0])}</mark>')
        end = found.end()
    parts.append(_plain(text[end:]))
    return mark_safe("".join(parts))  # noqa: S308 - every piece is escaped


def rendered(text: str, variables: Mapping[str, Any]) -> SafeString:
    """Mark in a rendered text what came from a variable, where its value stands there as it is."""
    parts, end = [], 0
    for start, stop, name in _places(text, variables):
        parts.append(_plain(text[end:start]))
        title = escape(printable(name))
        parts.append(f'<mark class="variable" title="{title}">{_plain(text[start:stop])}</mark>')
        end = stop
    parts.append(_plain(text[end:]))
    return mark_safe("".join(parts))  # noqa: S308 - every piece is escaped


def _places(text: str, variables: Mapping[str, Any]) -> Iterator[tuple[int, int, str]]:
    """Give places from left to right, none inside another; of two that overlap the one of the longer value."""
    taken: list[tuple[int, int, str]] = []
    values = sorted(
        ((name, form) for name, value in variables.items() for form in _forms(value)),
        key=lambda each: -len(each[1]),
    )
    for name, value in values:
        at = text.find(value)
        for _ in range(_MOST):
            if at < 0:
                break
            end = at + len(value)
            if not any(start < end and at < stop for start, stop, _ in taken):
                taken.append((at, end, name))
            at = text.find(value, end)
    return iter(sorted(taken))


def _forms(value: Any) -> list[str]:
    """Return how a value may stand in a text."""
    if isinstance(value, str):
        forms = [value, value.strip()]
    elif isinstance(value, dict | list):
        forms = [json.dumps(value, ensure_ascii=False), json.dumps(value, ensure_ascii=False, indent=2)]
    else:
        forms = []
    return [form for form in dict.fromkeys(forms) if len(form) >= _SHORTEST]


def _plain(text: str) -> str:
    return escape(printable(text), quote=False)
