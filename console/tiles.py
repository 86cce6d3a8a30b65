"""Parts of a page that are worked out by themselves: kept for a while, given up when slow, failing alone.

A tile keeps what it showed last. While that is fresh nothing is asked again; where asking fails, it is shown with its
time and the reason. May not know what a tile holds, nor any page.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.core.cache import cache
from django.utils import timezone
from psycopg.errors import QueryCanceled

from workflows.queries import overview

_KEPT_S: Final = 3600
_SLOW_S: Final = 0.25
_PATIENCE_S: Final = 0.4  # of a page that is waited for
_GIVE_UP_S: Final = 8.0
_LATER_S: Final = 600

log = structlog.get_logger()


@dataclass(frozen=True)
class Shown:
    """What a tile shows: a value of some moment; or none, because it comes later or could not be had."""

    value: Any = None
    at: datetime | None = None
    failed: bool = False
    later: bool = False

    @property
    def mark(self) -> str:
        """Name what is shown: another name for anything else to be seen."""
        text = repr((self.value, self.failed, self.later))
        return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=9).hexdigest()


def show(name: str, read: Callable[[], Any], *, fresh_s: float, may_wait: bool) -> Shown:
    """Return a tile's value, read now unless the one kept is fresh.

    With `may_wait` the page comes first: a value that takes long, or took long the last time, comes later.
    """
    key = f"tile-{name}"
    kept: Shown | None = cache.get(key)
    now = timezone.now()
    if kept and kept.at and now - kept.at < timedelta(seconds=fresh_s):
        return kept
    if may_wait and cache.get(f"{key}-slow"):
        return kept or Shown(later=True)
    return _read(key, read, kept, may_wait=may_wait)


def kept(names: Iterable[str]) -> dict[str, Shown]:
    """Return what tiles of these names showed last; nothing is read anew."""
    keys = {f"tile-{name}": name for name in names}
    return {keys[key]: shown for key, shown in cache.get_many(keys).items()}


def _read(key: str, read: Callable[[], Any], kept: Shown | None, *, may_wait: bool) -> Shown:
    began = time.monotonic()
    try:
        with overview.bounded(seconds=_PATIENCE_S if may_wait else _GIVE_UP_S):
            value = read()
    except (
        Exception
    ) as problem:  # a tile fails alone, whatever broke: the page around it is what people need then
        cache.set(f"{key}-slow", True, timeout=_LATER_S)
        if may_wait and isinstance(problem.__cause__, QueryCanceled):
            return kept or Shown(later=True)
        log.exception("tile_failed", tile=key)
        return Shown(kept.value, kept.at, failed=True) if kept else Shown(failed=True)
    took_s = time.monotonic() - began
    if took_s > _SLOW_S:
        cache.set(f"{key}-slow", True, timeout=_LATER_S)
    else:
        cache.delete(f"{key}-slow")
    shown = Shown(value, timezone.now())
    cache.set(key, shown, timeout=_KEPT_S)
    return shown
