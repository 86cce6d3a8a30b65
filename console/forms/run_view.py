"""What the address of a run's page asks for. Shape only; unknown values fall away."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from django.http import HttpRequest, QueryDict

from console.drawing import looks

_MOST_S: Final = 10 * 366 * 86400.0
_MOST_OPEN: Final = 20


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The tab, the step, and how the timeline or the events are narrowed."""

    tab: str = ""
    step: str = ""
    attempt: str = ""
    text: str = ""
    kinds: tuple[str, ...] = ()
    errors: bool = False
    fold: bool = True
    critical: bool = False
    low_s: float | None = None  # the part of the run that is zoomed to
    high_s: float | None = None
    open: frozenset[str] = frozenset()  # keys of folded rows that somebody opened
    origin: str = ""  # the query of the list of runs that somebody came from
    event: int | None = None
    event_type: str = ""
    after: int | None = None
    before: int | None = None
    kept: QueryDict = field(default_factory=QueryDict)

    @property
    def filtered(self) -> bool:
        """Say whether the timeline leaves out steps by what they are."""
        return bool(self.text or self.kinds or self.errors)

    def address(self, **changes: str | None) -> str:
        """Write the query string with some values changed; None takes one away."""
        query = self.kept.copy()
        for name, value in changes.items():
            query.pop(name, None)
            if value:
                query[name] = value
        return "?" + query.urlencode()

    def tab_address(self, tab: str) -> str:
        """Write the address of a tab: the list and the step are kept, what narrows another tab is not."""
        known = {"tab": tab, "step": self.kept.get("step", ""), "list": self.origin}
        return "?" + urlencode({name: value for name, value in known.items() if value})


def read(request: HttpRequest, tabs: tuple[str, ...]) -> Asked:
    """Read the address."""
    get = request.GET
    return Asked(
        tab=get.get("tab", "") if get.get("tab", "") in tabs else "",
        step=get.get("step", ""),
        attempt=get.get("attempt", ""),
        text=get.get("q", "").strip().lower(),
        kinds=tuple(kind for kind in get.getlist("kind") if kind in looks.KINDS),
        errors=bool(get.get("errors")),
        fold=get.get("fold", "1") != "0",
        critical=bool(get.get("critical")),
        low_s=_seconds(get.get("from")),
        high_s=_seconds(get.get("to")),
        open=frozenset(get.getlist("open")[:_MOST_OPEN]),
        origin=get.get("list", "")[:2000],
        event=whole(get.get("event")),
        event_type=get.get("type", "").replace("\0", "")[:40],
        after=whole(get.get("after")),
        before=whole(get.get("before")),
        kept=get,
    )


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text) if text and text.isascii() and len(text) < 20 else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) and 0 <= value <= _MOST_S else None


def whole(text: str | None) -> int | None:
    """Read a whole number of at most 18 digits."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
