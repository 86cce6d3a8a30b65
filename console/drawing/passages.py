"""Passages of documents as safe HTML: the words that were asked for, and the place of one passage. Pure."""

from __future__ import annotations

import re
from typing import Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from console import formats

# Around the passage that is looked at, and from the start of a text.
AROUND: Final = 20_000
_WORD: Final = re.compile(r"\w{3,}")
_WORDS: Final = 64


def marked(text: str, query: str) -> SafeString:
    """Mark the words of a query, and words that begin with them, in a text."""
    words = sorted({word.lower() for word in _WORD.findall(query)}, key=len, reverse=True)[:_WORDS]
    safe = formats.printable(text)
    if not words:
        return mark_safe(escape(safe))  # noqa: S308 - escaped
    wanted = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\w*", re.IGNORECASE)
    parts, reached = [], 0
    for found in wanted.finditer(safe):
        parts.append(f"{escape(safe[reached : found.start()])}<mark>{escape(found[0])}</mark>")
        reached = found.end()
    return mark_safe("".join(parts) + escape(safe[reached:]))  # noqa: S308 - every part is escaped


def around(text: str, *, start: int, stop: int) -> tuple[SafeString, int, int]:
    """Return a text with one passage marked, cut to what lies around it; and from where to where that is.

    Without a passage (`stop` 0) it is the beginning of the text.
    """
    low, high = max(start - AROUND, 0), min(stop + AROUND, len(text))
    before, passage, after = (
        escape(formats.printable(part)) for part in (text[low:start], text[start:stop], text[stop:high])
    )
    inner = f'<mark id="passage">{passage}</mark>' if stop > start else ""
    return mark_safe(f"{before}{inner}{after}"), low, high  # noqa: S308 - every part is escaped
