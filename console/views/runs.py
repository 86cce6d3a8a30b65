"""The runs list."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from console import formats
from console.access import requires
from console.drawing import histogram
from console.forms import run_filter
from workflows.queries import run_list, run_totals

_COUNT_EVERY_S = 30


@requires("runs.view")
def index(request: HttpRequest) -> HttpResponse:
    """Show the runs that match the address; a poll whose answer is still right gets 304."""
    query = run_filter.parse(request.GET)
    mark = _mark(request)
    if request.headers.get("HX-PTag") == mark:
        return HttpResponse(status=304)
    chosen = query.filter(timezone.now())
    try:
        page = run_list.page(chosen, after=query.after, before=query.before)
    except run_list.CursorError:
        return HttpResponseRedirect(reverse("runs") + query.address())
    context = {
        "query": query,
        "page": page,
        "mark": mark,
        "poll": request.get_full_path(),
        "newer": query.address(before=page.newer or ""),
        "older": query.address(after=page.older or ""),
        "any_time": query.address(range="all"),
        **_summary(query, chosen),
        **_empty(query, page),
    }
    if not request.headers.get("HX-Request"):
        context |= {"workflows": run_list.workflow_names(), "ranges": run_filter.RANGES}
    template = "runs/_results.html" if request.headers.get("HX-Request") else "runs/list.html"
    answer = render(request, template, context)
    answer["HX-PTag"] = mark
    return answer


def _mark(request: HttpRequest) -> str:
    """Name what an answer shows: another after any event of any run, and each quarter of an hour."""
    quarter = int(timezone.now().timestamp()) // 900
    text = f"{run_list.change_mark()} {quarter} {request.get_full_path()}"
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=9).hexdigest()


def _summary(query: run_filter.RunQuery, chosen: run_list.RunFilter) -> dict[str, Any]:
    """Sum up what matches. Very many runs are counted twice a minute, not with every poll."""
    shown = f"{query.address()} {timezone.get_current_timezone_name()}"
    key = "runs-summary-" + hashlib.blake2b(shown.encode("utf-8", "replace")).hexdigest()
    known: dict[str, Any] | None = cache.get(key)
    if known is None:
        known = _counted(query, chosen)
        if known["totals"].capped:
            cache.set(key, known, timeout=_COUNT_EVERY_S)
    return known


def _counted(query: run_filter.RunQuery, chosen: run_list.RunFilter) -> dict[str, Any]:
    totals = run_totals.totals(chosen)
    now = timezone.now()
    since = chosen.since or run_totals.oldest(chosen) or now - timedelta(hours=1)
    bins = run_totals.histogram(chosen, since=since, until=now, bins=query.range.bins)
    since, now = timezone.localtime(since), timezone.localtime(now)
    label = f"{formats.plural(totals.runs, 'run')} since {since:%b %d, %H:%M}, {totals.failed:,} failed"
    return {
        "totals": totals,
        "failed_percent": f"{totals.failed / totals.runs * 100:.1f}" if totals.runs else "0",
        "views": [_view(query, view, totals) for view in run_filter.VIEWS],
        "histogram": histogram.draw(bins, label=label),
        "axis": _axis(since, now),
    }


def _view(query: run_filter.RunQuery, view: run_filter.View, totals: run_totals.Totals) -> dict[str, Any]:
    count = sum(totals.by_state.get(state, 0) for state in view.states)
    if not view.key:
        count = min(sum(totals.by_state.values()), run_totals.COUNT_LIMIT)
    if view.key == "attention":
        count = totals.attention
    return {
        "label": view.label,
        "address": query.address(state=view.key),
        "current": view is query.view,
        "count": f"{count:,}{'+' if totals.capped and count else ''}",
    }


def _axis(since: datetime, now: datetime) -> list[str]:
    """Write the times under the histogram: its start, three between, and now."""
    days = now - since > timedelta(hours=25)
    marks = [since + (now - since) * part / 4 for part in range(4)]
    inner = [f"{m:%b} {m.day}" if days else f"{m:%H:%M}" for m in marks[1:]]
    return [f"{since:%b} {since.day}, {since:%H:%M}", *inner, "now"]


def _empty(query: run_filter.RunQuery, page: run_list.RunsPage) -> dict[str, Any]:
    """Say why there is nothing, where there is nothing: no run at all, or a filter that removes all."""
    if page.rows:
        return {"empty": ""}
    if not query.narrowed and run_totals.oldest(run_list.RunFilter()) is None:
        return {"empty": "first-use"}
    return {"empty": "paged" if query.after or query.before else "filtered"}
