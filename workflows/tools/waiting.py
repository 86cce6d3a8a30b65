"""How long a call may wait: its deadline and its cancellation, for every wait of this package.

Knows nothing of what is waited for but its file descriptor.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable
from dataclasses import dataclass

READ, WRITE = select.POLLIN, select.POLLOUT
# How often a waiting thread looks whether it is still wanted.
POLL_S = 0.25


def never() -> bool:
    """The `cancelled` of a caller that always wants the result."""
    return False


class Stopped(Exception):
    """A wait ended without what it waited for. `error_class`: timeout or cancelled."""

    def __init__(self, error_class: str) -> None:
        super().__init__(error_class)
        self.error_class = error_class


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Until when (monotonic) a call may last, and whether it is still wanted."""

    ends_at: float
    cancelled: Callable[[], bool] = never

    @classmethod
    def within(cls, seconds: float, *, cancelled: Callable[[], bool] = never) -> Patience:
        return cls(ends_at=time.monotonic() + seconds, cancelled=cancelled)

    def slice_s(self) -> float:
        """How many seconds to block before looking again. Raises: Stopped when nothing is left."""
        if self.cancelled():
            raise Stopped("cancelled")
        left_s = self.ends_at - time.monotonic()
        if left_s <= 0:
            raise Stopped("timeout")
        return min(left_s, POLL_S)

    def until_ready(self, descriptor: int, events: int, *, ends_at: float = math.inf) -> bool:
        """Wait until a descriptor can be read or written (or is broken); False: not until `ends_at`.

        Raises: Stopped.
        """
        poll = select.poll()
        poll.register(descriptor, events)
        while (left_s := ends_at - time.monotonic()) > 0:
            if poll.poll(math.ceil(min(self.slice_s(), left_s) * 1000)):
                return True
        return False
