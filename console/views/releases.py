"""Releases: rollouts that go on, what is deployed where, and rollouts that have ended."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console.access import requires
from console.drawing import ladder
from console.views import rollouts
from workflows.queries import rollouts as queries


@requires("definitions.view")
def index(request: HttpRequest) -> HttpResponse:
    """List rollouts, live ones first, and what new runs get; a poll without news gets 304."""
    given = request.GET.get("before", "")
    before = int(given) if given.isascii() and given.isdigit() and len(given) < 18 else None
    live, places = queries.live(), queries.places()
    ended, more = queries.ended(before=before)
    news = [
        *((row.pk, row.moves) for row in (*live, *ended)),
        *((place.deployment.pk, place.deployment.stable_id, place.newest) for place in places),
    ]
    mark = rollouts.mark(request, news)
    if request.headers.get("HX-PTag") == mark:
        return HttpResponse(status=304)
    context = {
        "live": [{"row": row, "rungs": ladder.rungs(row)} for row in live],
        "places": places,
        "ended": ended,
        "next": f"?before={ended[-1].pk}" if more else "",
        "paged": before is not None,
        "poll": request.get_full_path(),
        "mark": mark,
    }
    part = "_list" if request.headers.get("HX-Request") else "list"
    page = render(request, f"releases/{part}.html", context)
    page["HX-PTag"] = mark
    return page
