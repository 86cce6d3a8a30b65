"""When a delivery that failed is tried again (pure)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

# Seconds between the tries, before jitter: eleven tries in about 22 hours.
DELAYS_S: Final = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 21_600, 28_800)
JITTER: Final = 0.1
LONGEST_WAIT: Final = timedelta(hours=8)
GIVES_UP_AFTER: Final = timedelta(days=1)


def next_try(
    tried: int, *, now: datetime, gives_up_at: datetime, spread: float, retry_after_s: float | None = None
) -> datetime | None:
    """Return when to try again after `tried` failures in a row, or None to give up.

    `spread` is drawn from 0 to 1; `retry_after_s` is what the endpoint asked for, obeyed up to eight hours.
    """
    if tried > len(DELAYS_S):
        return None
    wait = timedelta(seconds=DELAYS_S[tried - 1] * (1 + JITTER * (2 * spread - 1)))
    if retry_after_s is not None:
        wait = max(wait, min(timedelta(seconds=retry_after_s), LONGEST_WAIT))
    return now + wait if now + wait <= gives_up_at else None
