"""How a bulk action is carried out: its pace, and what has to go well before it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from workflows.errors import Invalid

RETRY_RATE: Final = 5.0  # runs a second, unless somebody says otherwise
CANARY: Final = 10  # runs that go before the rest, unless somebody says otherwise
MIN_RATE, MAX_RATE = 0.1, 1000.0
MAX_CANARY: Final = 1000
MAX_AT_ONCE: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """How an action is carried out.

    `rate_per_s`: how many runs a second; None: as fast as it goes. `at_once`: how many of its runs may be going on
    at the same time; None: any number. `canary`: how many runs go before the rest and have to end well; 0: none.
    `stop_above`: the share (0 to 1) of its runs that fail again above which it stops by itself; None: never, but
    for those first runs, of which none may fail then.
    """

    rate_per_s: float | None = None
    at_once: int | None = None
    canary: int = 0
    stop_above: float | None = None

    def check(self) -> None:
        """Raises: Invalid, for what is out of bounds."""
        rate, share, many = self.rate_per_s, self.stop_above, self.at_once
        if rate is not None and not MIN_RATE <= rate <= MAX_RATE:
            raise Invalid(
                f"The rate is at least {MIN_RATE:g} and at most {MAX_RATE:g} runs a second.",
                code="rate_invalid",
            )
        if share is not None and not 0 <= share < 1:
            raise Invalid("The share of failures is at least 0 and below 1.", code="share_invalid")
        if many is not None and not 1 <= many <= MAX_AT_ONCE:
            raise Invalid(f"Between 1 and {MAX_AT_ONCE:,} runs go on at once.", code="at_once_invalid")
        if not 0 <= self.canary <= MAX_CANARY:
            raise Invalid(f"At most {MAX_CANARY:,} runs go first.", code="canary_invalid")


def of(written: Mapping[str, Any]) -> Options:
    """Read the options that stand beside an action; what an earlier version did not know, nobody asked."""
    names = {field.name for field in fields(Options)}
    return Options(**{name: value for name, value in written.items() if name in names})
