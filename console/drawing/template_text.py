"""A template as HTML: what it puts in is marked, every piece escaped. Pure."""

from __future__ import annotations

import re
from html import escape

from django.utils.safestring import SafeString, mark_safe

from console.formats import printable

_INSERT = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


def marked(text: str) -> SafeString:
    """Draw a template with its expressions and tags marked."""
    text = printable(text)
    parts, end = [], 0
    for piece in _INSERT.finditer(text):
        parts.append(escape(text[end : piece.start()], quote=False))
        parts.append(f"<mark>{escape(piece[0], quote=False)}</mark>")
        end = piece.end()
    parts.append(escape(text[end:], quote=False))
    return mark_safe("".join(parts))  # noqa: S308 - every piece above is escaped
