"""The overview: what needs a person, and how the runs of the last hours went. One address for each tile."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from console import tiles
from console.access import requires
from console.drawing import overview_charts
from console.tiles import Shown
from console.views import overview_troubles, pause_notice
from workflows.queries import attention, definitions, overview
from workflows.queries.overview import Window

_PAST_COSTS_S: Final = 3600


@dataclass(frozen=True)
class Range:
    """A stretch of time up to now, and how its chart is cut."""

    key: str
    label: str
    words: str
    length: timedelta
    bins: int
    bin_label: str

    def window(self, now: datetime) -> Window:
        """Return the whole parts of time that this means now: equal until the next part begins."""
        width_s = int(self.length.total_seconds()) // self.bins
        end = datetime.fromtimestamp((int(now.timestamp()) // width_s + 1) * width_s, tz=now.tzinfo)
        return Window(end - self.length, end, self.bins)


RANGES: Final = (
    Range("1h", "1 h", "last hour", timedelta(hours=1), 60, "per minute"),
    Range("24h", "24 h", "last 24 h", timedelta(hours=24), 96, "per 15 min"),
    Range("7d", "7 d", "last 7 days", timedelta(days=7), 84, "per 2 h"),
)
_BY_KEY: Final = {each.key: each for each in RANGES}
DEFAULT: Final = RANGES[1]


@dataclass(frozen=True)
class Tile:
    """How a tile is had and shown: how long it stays fresh, and how it is called where it is missing."""

    key: str
    title: str
    fresh_s: float
    read: Callable[[Window, datetime], Any]
    drawn: Callable[[Any, Range], dict[str, Any]]


def _troubles(window: Window, now: datetime) -> Any:
    return attention.troubles(since=window.since, now=now)


def _costs(window: Window, now: datetime) -> Any:
    """Compare today with the week before; the week is summed once an hour."""
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    key = f"costs-before-{midnight:%Y-%m-%d%z}"
    before = cache.get(key)
    if before is None:
        before = overview.hourly_costs(since=midnight - timedelta(days=overview.DAYS), until=midnight)
        cache.set(key, before, timeout=_PAST_COSTS_S)
    today = overview.hourly_costs(since=midnight, until=now)
    # To the minute: what is shown changes with the costs, not with every second.
    return overview.compared(today, before, midnight=midnight, now=now.replace(second=0, microsecond=0))


TILES: Final = {
    tile.key: tile
    for tile in (
        Tile("needs", "What needs you", 3, _troubles, overview_troubles.drawn),
        Tile("activity", "Runs", 5, lambda window, now: overview.activity(window), overview_charts.activity),
        Tile(
            "durations",
            "Durations",
            10,
            lambda window, now: overview.durations(window),
            overview_charts.durations,
        ),
        Tile("costs", "Costs", 30, _costs, overview_charts.costs),
        Tile(
            "workflows",
            "Workflows",
            15,
            lambda window, now: overview.workflows(window),
            overview_charts.workflows,
        ),
        Tile("errors", "Errors", 15, lambda window, now: overview.errors(window), overview_charts.errors),
    )
}


@requires("console.use")
def home(request: HttpRequest) -> HttpResponse:
    """Lead to the page that people look at first."""
    return HttpResponseRedirect(reverse("overview"))


@requires("console.use")
def index(request: HttpRequest) -> HttpResponse:
    """Show the overview; a tile that was slow the last time comes after the page."""
    if not overview.any_run():
        return _first_use(request)
    chosen = _range(request)
    shown = {key: _shown(tile, chosen, may_wait=True) for key, tile in TILES.items()}
    context = {
        "ranges": RANGES,
        "range": chosen,
        "tiles": [_context(request, TILES[key], chosen, value) for key, value in shown.items()],
        "notice": pause_notice.notice(),
    }
    return render(request, "overview/page.html", context)


@requires("console.use")
def tile(request: HttpRequest, key: str) -> HttpResponse:
    """Show one tile; 304 where the page has it already."""
    found = TILES.get(key)
    if found is None:
        raise Http404("There is no such part of the overview.")
    chosen = _range(request)
    shown = _shown(found, chosen, may_wait=False)
    mark = _mark(request, shown)
    if request.headers.get("HX-PTag") == mark:
        return HttpResponse(status=304)
    context = {"tile": _context(request, found, chosen, shown), "range": chosen, "alone": True}
    answer = render(request, "overview/_tile.html" if _is_part(request) else "overview/alone.html", context)
    answer["HX-PTag"] = mark
    return answer


@requires("console.use")
def first_run(request: HttpRequest) -> HttpResponse:
    """Answer the page that waits for the first run: reload once there is one."""
    if overview.any_run():
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return HttpResponse(status=304)


def _first_use(request: HttpRequest) -> HttpResponse:
    release = definitions.any_deployed()
    example = _example(definitions.input_schema(release)) if release else {}
    context = {
        "address": request.build_absolute_uri("/").rstrip("/"),
        "workflow": release.workflow if release else "",
        "body": json.dumps({"workflow": release.workflow, "input": example}) if release else "",
    }
    return render(request, "overview/first_use.html", context)


def _example(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Fill what an input has to have with something of the right kind, to be typed over."""
    kinds: dict[str, Any] = {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}
    asked: Mapping[str, Any] = schema.get("properties") or {}
    found = {}
    for name in schema.get("required") or []:
        field = asked.get(name) or {}
        choices = field.get("enum") or [kinds.get(str(field.get("type")), f"a {name}")]
        found[name] = field.get("default", choices[0])
    return found


def _is_part(request: HttpRequest) -> bool:
    return bool(request.headers.get("HX-Request"))


def _range(request: HttpRequest) -> Range:
    return _BY_KEY.get(request.GET.get("range", ""), DEFAULT)


def _shown(tile: Tile, chosen: Range, *, may_wait: bool) -> Shown:
    now = timezone.now()
    return tiles.show(
        f"{tile.key}-{chosen.key}-{timezone.get_current_timezone_name()}",
        lambda: tile.read(chosen.window(now), now),
        fresh_s=tile.fresh_s,
        may_wait=may_wait,
    )


def _context(request: HttpRequest, tile: Tile, chosen: Range, shown: Shown) -> dict[str, Any]:
    """Give a tile's template what it shows, and the address that it asks again."""
    as_table = request.GET.get("table", "") == tile.key
    kept = {"range": "" if chosen is DEFAULT else chosen.key, "table": tile.key if as_table else ""}
    toggled = {**kept, "table": "" if as_table else tile.key}
    return {
        "key": tile.key,
        "title": tile.title,
        "template": f"overview/_{tile.key}.html",
        "shown": shown,
        "poll": reverse("overview-tile", args=[tile.key]) + _query(kept),
        "every": f"{max(int(tile.fresh_s) + 2, 5)}s",
        "mark": _mark(request, shown),
        "as_table": as_table,
        "toggle": reverse("overview") + _query(toggled),
        "page": reverse("overview") + _query(kept),
        **(tile.drawn(shown.value, chosen) if shown.value is not None else {}),
    }


def _mark(request: HttpRequest, shown: Shown) -> str:
    return f"{shown.mark}-{request.GET.get('table', '')[:12]}"


def _query(values: dict[str, str]) -> str:
    text = urlencode({key: value for key, value in values.items() if value})
    return f"?{text}" if text else ""
