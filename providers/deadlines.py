"""How long a call may wait, and for what: the whole step's deadline, one call's time, cancellation.

Knows no network and no wire format; every wait of this layer goes through it, so that none can outlast it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from providers.errors import ProviderError

# How often a waiting thread looks whether it is still wanted. 500 waiting calls cost 1,000 looks a second.
POLL_S = 0.5
# Bounds of the phases within a call's own time-out.
CONNECT_S = 10.0
IDLE_S = 30.0
_WAITED_FOR = {
    "connect": "no connection",
    "write": "the request was not taken",
    "first_byte": "no answer began",
    "idle": "nothing more came",
    "total": "the answer did not end",
}


def never() -> bool:
    """The `cancelled` of a caller that always wants the answer."""
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Deadline:
    """The end of the whole step, on the monotonic clock."""

    ends_at: float
    cancelled: Callable[[], bool] = never

    @classmethod
    def within(cls, seconds: float, *, cancelled: Callable[[], bool] = never) -> Deadline:
        return cls(ends_at=time.monotonic() + seconds, cancelled=cancelled)

    def left_s(self) -> float:
        return self.ends_at - time.monotonic()

    def check(self) -> None:
        """Raises: ProviderError(cancelled | deadline)."""
        if self.cancelled():
            raise ProviderError("The call was cancelled.", error_class="cancelled")
        if self.left_s() <= 0:
            raise ProviderError("The time for the whole step is over.", error_class="deadline")

    def sleep(self, seconds: float) -> None:
        """Wait, but not past the deadline or a cancellation. Raises: ProviderError."""
        until = time.monotonic() + seconds
        while True:
            self.check()
            now = time.monotonic()
            if now >= until:
                return
            time.sleep(min(until - now, self.ends_at - now, POLL_S))


@dataclass(kw_only=True, slots=True)
class CallTime:
    """The time of one call: its own time-out within the deadline, and the phase that it is in."""

    deadline: Deadline
    timeout_s: float
    started_at: float = field(default_factory=time.monotonic)
    phase: str = "connect"
    first_token_at: float | None = None
    hurried_until: float = float("inf")

    @property
    def ends_at(self) -> float:
        return min(self.started_at + self.timeout_s, self.deadline.ends_at, self.hurried_until)

    def hurry(self, seconds: float) -> None:
        """From now on take at most so long: what is still to come matters little."""
        self.hurried_until = min(self.hurried_until, time.monotonic() + seconds)

    def left_s(self) -> float:
        return self.ends_at - time.monotonic()

    def token(self) -> None:
        """Note that the first token came, if none had."""
        if self.first_token_at is None:
            self.first_token_at = time.monotonic()

    def enter(self, phase: str) -> float:
        """Begin to wait in a phase; the monotonic moment until which that may last."""
        self.phase = phase
        limit = {"connect": CONNECT_S, "body": IDLE_S}.get(phase, self.timeout_s)
        return min(time.monotonic() + limit, self.ends_at)

    def slice_s(self, until: float) -> float:
        """How long to block before looking again. Raises: ProviderError when nothing is left."""
        if self.deadline.cancelled():
            raise ProviderError("The call was cancelled.", error_class="cancelled", phase=self.phase)
        left = until - time.monotonic()
        if left <= 0:
            raise self.over()
        return min(left, POLL_S)

    def over(self) -> ProviderError:
        """The error for a wait that came to its limit: the deadline's, the call's or the phase's."""
        now = time.monotonic()
        if now >= self.deadline.ends_at:
            return ProviderError(
                "The time for the whole step is over.", error_class="deadline", phase=self.phase
            )
        phase, limit_s = self.phase, self.timeout_s
        if phase == "connect":
            limit_s = min(CONNECT_S, limit_s)
        elif phase == "body" and now >= self.ends_at:
            phase = "total"
        elif phase == "body":
            phase, limit_s = "idle", IDLE_S
        what = _WAITED_FOR[phase]
        return ProviderError(f"Timed out: {what} within {limit_s:g} s.", error_class="timeout", phase=phase)

    def sleep(self, seconds: float) -> None:
        """Wait within this call's time. Raises: ProviderError."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, self.slice_s(self.ends_at)))
        self.slice_s(self.ends_at)
