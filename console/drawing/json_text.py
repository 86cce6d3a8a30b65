"""JSON as coloured text: one pass over the serialised value, every piece escaped."""

from __future__ import annotations

import json
import re
from html import escape

from django.utils.safestring import SafeString, mark_safe

from console.formats import printable

_PIECES = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*"(?=:))|(?P<text>"(?:[^"\\]|\\.)*")|(?P<value>-?\d[\d.eE+-]*|true|false|null)'
)
_CLASSES = {"key": "json-key", "text": "json-text", "value": "json-value"}


def serialise(value: object) -> str:
    """Write a JSON value over several lines, in Unicode, safe to send as UTF-8."""
    return printable(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _colour(piece: re.Match[str]) -> str:
    kind = piece.lastgroup or ""
    return f'<span class="{_CLASSES[kind]}">{escape(piece[0], quote=False)}</span>'


def highlight(text: str) -> SafeString:
    """Colour serialised JSON; also a text that was cut off in the middle."""
    parts, end = [], 0
    for piece in _PIECES.finditer(text):
        parts.append(escape(text[end : piece.start()], quote=False))
        parts.append(_colour(piece))
        end = piece.end()
    parts.append(escape(text[end:], quote=False))
    return mark_safe("".join(parts))  # noqa: S308 - every piece above is escaped
