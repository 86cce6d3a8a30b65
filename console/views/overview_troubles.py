"""What needs a person, in words, each with the address that shows just that. No requests, no HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from django.urls import reverse

from console import formats
from workflows.queries.attention import Trouble

KEYS: Final = 4  # the first ones have a number key


class Named(Protocol):
    """A stretch of time, as the address of the runs list names it."""

    @property
    def key(self) -> str: ...


@dataclass(frozen=True)
class Item:
    """One entry of the strip. `number` is its key, 0 where it has none."""

    number: int
    tone: str
    icon: str
    count: str
    words: str
    href: str
    oldest: datetime
    note: str = ""


def drawn(troubles: Sequence[Trouble], chosen: Named) -> dict[str, Any]:
    """Say each trouble in words, the most urgent first."""
    return {"items": [_item(place, each, chosen.key) for place, each in enumerate(troubles, 1)]}


def _item(place: int, trouble: Trouble, range_key: str) -> Item:
    tone, icon, one, many = _LOOKS[trouble.kind]
    count = f"{trouble.count:,}{'+' if trouble.capped else ''}"
    words = one if trouble.count == 1 else many
    note = ""
    if trouble.kind == "provider":
        words = f"{trouble.provider}: {trouble.share:.0%} of calls fail"
        count, note = "", trouble.error_class
    elif trouble.kind == "documents":
        note = f"in {trouble.ref}"
    elif trouble.kind == "workers":
        words, note = "No worker is running", formats.plural(trouble.count, "run waits", "runs wait")
        count = ""
    return Item(
        number=place if place <= KEYS else 0,
        tone=tone,
        icon=icon,
        count=count,
        words=words,
        href=_address(trouble, range_key),
        oldest=trouble.oldest,
        note=note,
    )


_LOOKS: Final = {
    "failed": ("bad", "circle-x", "failed run", "failed runs"),
    "unknown": ("bad", "octagon-alert", "outcome unknown", "outcomes unknown"),
    "stuck": ("bad", "octagon-alert", "run is stuck", "runs are stuck"),
    "approval": ("wait", "user-check", "approval waits", "approvals wait"),
    "schedule": ("bad", "calendar-clock", "schedule did not fire", "schedules did not fire"),
    "webhook": ("bad", "webhook", "webhook fails", "webhooks fail"),
    "workers": ("wait", "hourglass", "", ""),
    "provider": ("retry", "triangle-alert", "", ""),
    "documents": ("wait", "file-text", "document could not be read", "documents could not be read"),
}


# Troubles that are no runs: the page of one, and the list.
_PAGES: Final = {
    "approval": ("approval", "approvals"),
    "schedule": ("schedule", "schedules"),
    "webhook": ("webhook", "webhooks"),
}


def _address(trouble: Trouble, range_key: str) -> str:
    """Lead to the one thing where there is one, else to the list of just these."""
    if trouble.kind == "documents":
        return reverse("corpus", args=[trouble.ref]) + "?state=failed"
    if trouble.kind in _PAGES:
        one, many = _PAGES[trouble.kind]
        return reverse(one, args=[trouble.ref]) if trouble.ref else reverse(many)
    if trouble.ref:
        step = "?" + urlencode({"step": trouble.step}) if trouble.step else ""
        return reverse("run", args=[trouble.ref]) + step
    asked = {
        "failed": {"state": "failed", "range": range_key},
        "unknown": {"state": "unknown", "range": "all"},
        "stuck": {"state": "stuck", "range": "all"},
    }.get(trouble.kind, {"state": "active", "range": "all"})
    return f"{reverse('runs')}?{urlencode(asked)}"
