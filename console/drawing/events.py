"""The event rows of a run, by plain string building: a journal may have tens of thousands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any, Protocol
from urllib.parse import quote

from django.utils.safestring import SafeString, mark_safe

from console import formats
from console.drawing import json_text

CHOSEN = ' class="is-chosen" aria-current="true"'
_TONES = {"failed": "bad", "unknown": "bad", "retrying": "retry", "lost": "retry", "succeeded": "ok"}


class Event(Protocol):
    """What a row shows of a journal event."""

    seq: int
    type: str
    at: datetime
    step: str | None
    epoch: int | None
    attempt: int | None
    data: Any


def _row(event: Event, begun: datetime, chosen: bool) -> str:
    tone = _TONES.get(event.type.rpartition(".")[2], "idle")
    offset = formats.duration((event.at - begun).total_seconds())
    step = (
        f'<a href="?step={quote(event.step)}">{escape(formats.printable(event.step))}</a>'
        if event.step
        else '<span class="muted">the run</span>'
    )
    attempt = f'<span class="muted">#{event.attempt}</span>' if event.attempt else ""
    text = json_text.highlight(json_text.serialise(event.data))
    data = (
        f'<details><summary aria-label="Data of event {event.seq}">{_brief(event.data)}</summary>'
        f'<pre class="code" tabindex="0">{text}</pre></details>'
        if event.data
        else ""
    )
    return (
        f'<tr id="e{event.seq}"{CHOSEN if chosen else ""}><td class="col-offset is-number">'
        f'<a href="?tab=events&amp;event={event.seq}#e{event.seq}" '
        f'title="{formats.exact(event.at, fine=True)}">+{offset}</a></td>'
        f'<td class="col-event"><i class="dot tone-{tone}"></i>{escape(event.type)}</td>'
        f'<td class="col-step">{step} {attempt}</td><td class="col-data">{data}</td></tr>'
    )


def _brief(data: Any) -> str:
    """Say the data in one line: names and short values."""
    if not isinstance(data, dict):
        return "data"
    words = []
    for key, value in data.items():
        shown = (
            value.get("message", "…")
            if isinstance(value, dict)
            else "…"
            if isinstance(value, list)
            else value
        )
        text = str(shown)
        words.append(f"{key} {text[:12] + '…' if len(text) == 64 and text.isalnum() else text[:80]}")
    return escape(formats.printable(" · ".join(words)), quote=False)


def rows_html(events: Sequence[Event], *, begun: datetime, chosen: int | None = None) -> SafeString:
    """Draw the rows of a table body. `chosen`: the `seq` that a link leads to."""
    return mark_safe("".join(_row(event, begun, event.seq == chosen) for event in events))  # noqa: S308 - _row escapes
