"""For how long what runs leave behind is kept, by environment. Pure but for the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from workflows.models.releases import IMPORTED

# Stands for every environment that is not named; those of imported runs are named or kept.
OTHERS: Final = "*"
NEVER: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")  # nothing ended before that
# A payload, an upload or a snapshot that was of use until now is left alone for so long.
GRACE: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Days after its end for which a run is kept, a failed one, and the values of either; None: for ever."""

    runs: float | None = None
    failed: float | None = None
    payloads: float | None = None

    @property
    def limits(self) -> bool:
        """Say whether anything is ever deleted under these terms."""
        return any(days is not None for days in (self.runs, self.failed, self.payloads))

    def shortest(self) -> float | None:
        """Return after how many days the first of it goes; None: never."""
        return min(
            (days for days in (self.runs, self.failed, self.payloads) if days is not None), default=None
        )

    def __str__(self) -> str:
        parts = [f"runs {_days(self.runs)}"]
        if self.failed != self.runs:
            parts.append(f"failed ones {_days(self.failed)}")
        if self.payloads is not None:
            parts.append(f"their payloads {_days(self.payloads)}")
        return ", ".join(parts)


def _days(days: float | None) -> str:
    return "for ever" if days is None else f"{days:g} day{'' if days == 1 else 's'}"


def of_environment(name: str) -> Terms:
    """Return the terms of an environment. Without any, everything is kept."""
    said: Mapping[str, Mapping[str, float]] = settings.RETENTION
    found = said.get(name)
    if found is None:
        found = {} if name == IMPORTED else said.get(OTHERS, {})
    runs = found.get("runs")
    return Terms(runs=runs, failed=found.get("failed", runs), payloads=found.get("payloads"))


def of_all(environments: list[str]) -> dict[str, Terms]:
    """Return the terms of environments under which anything is ever deleted."""
    found = {name: of_environment(name) for name in environments}
    return {name: terms for name, terms in found.items() if terms.limits}


def is_set() -> bool:
    """Say whether anything is ever deleted."""
    return bool(settings.RETENTION)


def before(days: float | None, *, now: datetime) -> datetime:
    """Return what has ended before which moment is due."""
    return NEVER if days is None else now - timedelta(days=days)
