"""Which known name did an author mean? (pure; bounded, since a batch may hold thousands of wrong names)"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_CANDIDATES = 200
MAX_LENGTH = 80


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one; None if none is much like it."""
    if len(name) > MAX_LENGTH:
        return None
    alike = [other for other in known if abs(len(other) - len(name)) <= max(2, len(name) // 2)]
    alike.sort(key=lambda other: (other[:1] != name[:1], other))
    found = difflib.get_close_matches(name, alike[:MAX_CANDIDATES], n=1)
    return found[0] if found else None


def meant(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'NAME'?`, or nothing."""
    found = nearest(name, known)
    return f"; did you mean {found!r}?" if found else ""
