"""What stands over the table of runs: totals, the tabs' counts, the histogram. Counts, draws, decides nothing."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.cache import cache
from django.utils import timezone

from console import formats
from console.drawing import histogram, time_axis
from console.forms import moments, run_filter
from console.forms.run_filter import RunQuery, View
from workflows.queries import run_totals
from workflows.queries.run_list import RunFilter
from workflows.queries.run_totals import Bin, Totals

_COUNT_EVERY_S: Final = 30
_MANY: Final = 1_000  # runs: what one more or less changes nobody sees
_LONG_S: Final = 0.5


def summary(query: RunQuery, chosen: RunFilter) -> dict[str, Any]:
    """Sum up what matches. What takes long to count, or is a very great deal, is not counted with every poll."""
    shown = f"{query.address()} {timezone.get_current_timezone_name()}"
    key = "runs-summary-" + hashlib.blake2b(shown.encode("utf-8", "replace")).hexdigest()
    known: dict[str, Any] | None = cache.get(key)
    if known is None:
        began = time.monotonic()
        known = _counted(query, chosen)
        cache.set(key, known, timeout=_kept_s(known["totals"], took_s=time.monotonic() - began))
    return known


def _kept_s(totals: Totals, *, took_s: float) -> float:
    """Return for how long counts stay: counting may take a twentieth of the time. Few runs are counted anew."""
    if totals.capped:
        return max(_COUNT_EVERY_S, 20 * took_s)
    many = sum(totals.by_state.values()) >= _MANY
    return 20 * took_s if took_s > _LONG_S or many else 0


def _counted(query: RunQuery, chosen: RunFilter) -> dict[str, Any]:
    totals = run_totals.totals(chosen)
    now = timezone.localtime()
    until = timezone.localtime(chosen.until) if chosen.until else now
    since = chosen.since or run_totals.oldest(chosen) or until - timedelta(hours=1)
    since = timezone.localtime(since)
    if until <= since:
        until = since + timedelta(seconds=1)
    bins, per = (query.range.bins, query.range.bin_label) if query.range.bins else time_axis.cut(since, until)
    found = run_totals.histogram(chosen, since=since, until=until, bins=bins)
    label = f"{formats.plural(totals.runs, 'run')} since {since:%b %d, %H:%M}, {totals.failed:,} failed"
    return {
        "totals": totals,
        "failed_share": formats.share(totals.failed / totals.runs if totals.runs else 0),
        "views": [_view(query, view, totals) for view in run_filter.VIEWS],
        "histogram": histogram.draw(found, label=label, links=_links(query, found, until)),
        "axis": time_axis.marks(since, until, now=now),
        "per": per,
        "zoom": _zoom(query, found, until),
    }


def _links(query: RunQuery, bins: tuple[Bin, ...], until: datetime) -> list[histogram.Link]:
    """Lead from each bar to the list of its stretch of time."""
    ends = [*(each.start for each in bins[1:]), until]
    return [
        histogram.Link(
            query.address(
                **{"from": moments.write(each.start), "to": moments.write(_later(each.start, end))}
            ),
            f"{time_axis.stretch(timezone.localtime(each.start), timezone.localtime(end))}: "
            f"{formats.plural(each.succeeded + each.active + each.failed, 'run')}, {each.failed:,} failed",
        )
        for each, end in zip(bins, ends, strict=True)
    ]


def _later(start: datetime, end: datetime) -> datetime:
    """Return the end, a second after the start at least: addresses are written to the second."""
    return max(end + timedelta(seconds=1) if end.microsecond else end, start + timedelta(seconds=1))


def _zoom(query: RunQuery, bins: tuple[Bin, ...], until: datetime) -> dict[str, Any]:
    """Give the script what it needs to turn places into times, and the way back to the preset range."""
    first = bins[0].start
    width_s = (bins[1].start - first).total_seconds() if len(bins) > 1 else (until - first).total_seconds()
    zoomed = bool({"from", "to"} & query.values.keys())
    return {
        "start": int(first.timestamp()),
        "bin": width_s,
        "bins": len(bins),
        "address": query.address(**{"from": "", "to": ""}),
        "reset": query.address(**{"from": "", "to": ""}) if zoomed else "",
    }


def _view(query: RunQuery, view: View, totals: Totals) -> dict[str, Any]:
    count = sum(totals.by_state.get(state, 0) for state in view.states)
    if not view.key:
        count = min(sum(totals.by_state.values()), run_totals.COUNT_LIMIT)
    if view.key == "attention":
        count = totals.attention
    return {
        "label": view.label,
        "address": query.address(state=view.key, view=""),
        "current": view is query.view and not query.saved,
        "count": f"{count:,}{'+' if totals.capped and count else ''}",
    }
