"""The numbers in the navigation. They come after the page, are kept for some seconds, and fail each alone.

A page shows those that are known already and asks nothing for them; the parts that come later do the counting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from console import access, tiles
from workflows.queries import sidebar

_FRESH_S: Final = 5
_SHOWN_FOR: Final = timedelta(
    seconds=60
)  # a page may show what was counted so long ago, until the next count is there


@dataclass(frozen=True)
class Counted:
    """What stands beside one entry. `text` is empty where there is nothing to say."""

    route: str
    text: str = ""
    words: str = ""
    alarm: bool = False


@dataclass(frozen=True)
class _Count:
    route: str
    permission: str
    one: str
    many: str
    read: Callable[[datetime], int]
    alarm: bool = False

    @property
    def name(self) -> str:
        return f"sidebar-{self.route}"

    def told(self, shown: tiles.Shown | None, now: datetime) -> Counted:
        known = shown and shown.at and not shown.failed and now - shown.at < _SHOWN_FOR
        number: int | None = shown.value if shown and known else None
        if not number:
            return Counted(self.route)
        text = f"{sidebar.MOST - 1}+" if number >= sidebar.MOST else str(number)
        return Counted(self.route, text, f"{text} {self.one if number == 1 else self.many}", self.alarm)


_COUNTS: Final = (
    _Count("runs", "runs.view", "run needs attention", "runs need attention", sidebar.attention, alarm=True),
    _Count("approvals", "runs.view", "waits for a person", "wait for a person", sidebar.approvals),
    _Count("queue", "runs.view", "step waits for a worker", "steps wait for a worker", sidebar.queued),
)


def known(role: str | None) -> dict[str, Counted]:
    """Return what was counted lately, by route; asks nothing."""
    kept, now = tiles.kept([each.name for each in _COUNTS]), timezone.now()
    return {each.route: each.told(kept.get(each.name), now) for each in _for(role)}


def counted(role: str | None) -> list[Counted]:
    """Count, unless that was done within the last seconds. What takes long is left out, and not tried for a while."""
    return [each.told(_count(each), timezone.now()) for each in _for(role)]


def _count(each: _Count) -> tiles.Shown:
    return tiles.show(each.name, lambda: each.read(timezone.now()), fresh_s=_FRESH_S, may_wait=True)


def _for(role: str | None) -> list[_Count]:
    return [each for each in _COUNTS if access.may(role, each.permission)]
