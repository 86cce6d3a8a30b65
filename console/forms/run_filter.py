"""The filter of the runs list, from the address and back. Shape only; unknown values fall away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict

from workflows.queries.run_list import RunFilter


@dataclass(frozen=True)
class Range:
    """A stretch of time up to now, and how its histogram is cut."""

    key: str
    label: str
    length: timedelta | None
    bins: int
    bin_label: str


RANGES: Final = (
    Range("1h", "Last hour", timedelta(hours=1), 60, "per minute"),
    Range("24h", "Last 24 h", timedelta(hours=24), 96, "per 15 min"),
    Range("7d", "Last 7 days", timedelta(days=7), 84, "per 2 h"),
    Range("30d", "Last 30 days", timedelta(days=30), 90, "per 8 h"),
    Range("all", "Any time", None, 96, ""),
)
DEFAULT_RANGE: Final = RANGES[1]


@dataclass(frozen=True)
class View:
    """A tab over the list: a name and the states that it shows."""

    key: str
    label: str
    states: tuple[str, ...] = ()


VIEWS: Final = (
    View("", "All"),
    View("attention", "Needs attention"),
    View("failed", "Failed", ("failed",)),
    View("active", "Running", ("queued", "running", "waiting", "paused")),
    View("succeeded", "Succeeded", ("succeeded",)),
    View("cancelled", "Cancelled", ("cancelled",)),
)


@dataclass(frozen=True, kw_only=True)
class RunQuery:
    """What the address asks for."""

    text: str
    workflow: str
    view: View
    range: Range
    after: str
    before: str

    def filter(self, now: datetime) -> RunFilter:
        """Return the filter that this means at a moment."""
        return RunFilter(
            text=self.text,
            workflow=self.workflow,
            states=self.view.states,
            attention=self.view.key == "attention",
            since=now - self.range.length if self.range.length else None,
        )

    def address(self, **changes: str) -> str:
        """Write the query string with some values changed; without a cursor it leads to the newest page."""
        values = {
            "q": self.text,
            "workflow": self.workflow,
            "state": self.view.key,
            "range": "" if self.range is DEFAULT_RANGE else self.range.key,
            **changes,
        }
        return "?" + urlencode({key: value for key, value in values.items() if value})

    @property
    def narrowed(self) -> bool:
        """Say whether anything but the time range narrows the list."""
        return bool(self.text or self.workflow or self.view.key)


def parse(asked: QueryDict) -> RunQuery:
    """Read the query of an address."""
    views = {view.key: view for view in VIEWS}
    ranges = {each.key: each for each in RANGES}
    return RunQuery(
        text=asked.get("q", "").strip()[:200],
        workflow=asked.get("workflow", "").strip()[:63].replace("\0", ""),
        view=views.get(asked.get("state", ""), VIEWS[0]),
        range=ranges.get(asked.get("range", ""), DEFAULT_RANGE),
        after=asked.get("after", ""),
        before=asked.get("before", ""),
    )
