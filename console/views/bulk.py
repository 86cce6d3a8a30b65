"""Bulk actions: the list of them, one with its progress and its runs, and what leads it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from console import access, formats
from console.access import requires
from console.actors import actor_of
from console.drawing import shares
from console.forms import filter_words
from console.views.bulk_new import DONE, PERMISSION
from workflows.bulk import actions, options, previews
from workflows.errors import UnknownObject, WorkflowError
from workflows.models import BulkAction
from workflows.queries import bulk_page, run_list

# What became of a run, or of its fork, as people read it: for an action, or for any other.
PLACES = {
    "succeeded": {"cancel": "Had succeeded", "": "Succeeded"},
    "failed": {"cancel": "Had failed", "retry": "Failed again", "": "Failed"},
    "cancelled": {"": "Cancelled"},
    "going": {"cancel": "Being cancelled", "": "Going on"},
    "gone": {"": "Deleted"},
    "refused": {"": "Refused"},
    "pending": {"": "To do"},
}
_ACTIVE = ("waiting", "running")


@requires("runs.view")
def index(request: HttpRequest) -> HttpResponse:
    """List the bulk actions, newest first."""
    after = request.GET.get("after", "")
    try:
        place = run_list.decode_cursor(after) if after else None
    except run_list.CursorError:
        return HttpResponseRedirect(reverse("bulk-list"))
    found = bulk_page.newest(before=place, limit=bulk_page.PAGE + 1)
    shown = found[: bulk_page.PAGE]
    counts = bulk_page.outcomes(shown)
    older = ""
    if len(found) > len(shown):
        older = "?after=" + run_list.encode_cursor(shown[-1].created_at, shown[-1].pk)
    rows = [row(action, counts.get(action.pk, {})) for action in shown]
    return render(request, "bulk/list.html", {"rows": rows, "older": older, "paged": bool(after)})


def row(action: BulkAction, counts: Mapping[str, int]) -> dict[str, Any]:
    """Say of an action what a line of a list shows; `counts`: its runs by outcome."""
    done, refused = counts.get("done", 0), counts.get("refused", 0)
    return {
        "action": action,
        "title": _title(action),
        "state": _shown_state(action, interrupted=False),
        "done": done,
        "refused": refused,
    }


@requires("runs.view")
def detail(request: HttpRequest, bulk_id: str) -> HttpResponse:
    """Show how far an action is and what became of each run; a poll without news gets 304."""
    action = _find(bulk_id)
    interrupted = actions.is_interrupted(action)
    places = bulk_page.places(action)
    mark = _mark(request, action, places, interrupted=interrupted)
    if request.headers.get("HX-PTag") == mark:
        return HttpResponse(status=304)
    place = request.GET.get("outcome", "")
    place = place if place in (*PLACES, bulk_page.CHANGED) else ""
    page = bulk_page.items(
        action, place=place, after=_number(request, "after"), before=_number(request, "before")
    )
    going = not interrupted and (action.state in _ACTIVE or "going" in places)
    context = {
        "action": action,
        "title": _title(action),
        "done_word": DONE[action.action],
        "state": _shown_state(action, interrupted=interrupted),
        "interrupted": interrupted,
        "poll": request.get_full_path() if going else "",
        "mark": mark,
        "permission": PERMISSION[action.action],
        "figures": _figures(action, places),
        "shares": shares.draw([(key, _word(key, action), count) for key, count in places.items()]),
        "tabs": _tabs(action, places, place),
        "rows": [_shown(row, action) for row in page.rows],
        "page": page,
        "outcome": place,
        "next": _next_actions(action, places),
        "excluded": _excluded(action),
        "meant": _meant(action),
        "starts_in_s": max((action.starts_at - timezone.now()).total_seconds(), 0),
    }
    template = "bulk/_action.html" if request.headers.get("HX-Request") else "bulk/page.html"
    answer = render(request, template, context)
    answer["HX-PTag"] = mark
    return answer


def _shown(row: bulk_page.ItemRow, action: BulkAction) -> dict[str, Any]:
    compare = ""
    if row.made and row.state:
        compare = f"{reverse('run-compare')}?{urlencode({'a': row.run_id, 'b': row.made})}"
    return {"item": row, "word": _word(row.place, action), "compare": compare}


def _find(bulk_id: str) -> BulkAction:
    try:
        return actions.get(bulk_id)
    except UnknownObject as problem:
        raise Http404(problem.message) from problem


def _number(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else 0


def _title(action: BulkAction) -> str:
    return f"{action.action.capitalize()} {formats.plural(action.total, 'run')}"


def _shown_state(action: BulkAction, *, interrupted: bool) -> str:
    if interrupted:
        return "halted"
    return "starting" if action.state == "waiting" else action.state


def _mark(request: HttpRequest, action: BulkAction, places: dict[str, int], *, interrupted: bool) -> str:
    """Name what an answer shows: another after any change of it."""
    text = f"{action.state} {action.run_id} {interrupted} {places} {action.note} {request.get_full_path()}"
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=9).hexdigest()


def _word(place: str, action: BulkAction) -> str:
    return PLACES[place].get(action.action, PLACES[place][""])


def _figures(action: BulkAction, places: dict[str, int]) -> list[dict[str, Any]]:
    left = places.get("pending", 0)
    asked = options.of(action.options)
    rate = asked.rate_per_s
    shown: list[dict[str, Any]] = [
        {"label": "Runs", "value": f"{action.total:,}"},
        {"label": "To do", "value": f"{left:,}"},
        {"label": "Rate", "value": f"{rate:g} a second" if rate else "As fast as it goes"},
    ]
    if left and rate and action.state in _ACTIVE:
        shown.append({"label": "Left, about", "value": formats.duration(left / rate)})
    if asked.at_once is not None:
        shown.append({"label": "At once", "value": f"{asked.at_once:,}"})
    if asked.canary:
        word = "gone well" if action.passed_at else f"{asked.canary:,} runs"
        shown.append({"label": "First", "value": word})
    if asked.stop_above is not None:
        shown.append({"label": "Stops above", "value": f"{asked.stop_above:.0%} failing"})
    shown.append({"label": "By", "value": action.created_by})
    shown.append({"label": "Started", "when": action.starts_at})
    if action.ended_at:
        lasted = (action.ended_at - action.starts_at).total_seconds()
        shown.append({"label": "Took", "value": formats.duration(max(lasted, 0))})
    return shown


def _tabs(action: BulkAction, places: dict[str, int], chosen: str) -> list[dict[str, Any]]:
    every = {"label": "All", "count": f"{action.total:,}", "address": "?", "current": not chosen}
    found = [every] + [
        {
            "label": _word(place, action),
            "count": f"{count:,}",
            "address": f"?outcome={place}",
            "current": place == chosen,
        }
        for place, count in places.items()
    ]
    if action.action == "fork":
        _, other = bulk_page.compared(action)
        key = bulk_page.CHANGED
        found.append(
            {
                "label": "Other output",
                "count": f"{other:,}",
                "address": f"?outcome={key}",
                "current": chosen == key,
            }
        )
    return found


def _next_actions(action: BulkAction, places: dict[str, int]) -> list[dict[str, Any]]:
    """Offer what may follow: the runs that it did not come to, and those that failed again."""
    offered = []
    if action.state == "stopped" and places.get("pending"):
        offered.append(("pending", f"{action.action.capitalize()} the other {places['pending']:,}"))
    if action.action == "retry" and action.state in ("stopped", "finished") and places.get("failed"):
        offered.append(("failed", f"Retry the {places['failed']:,} that failed again"))
    return [
        {
            "label": label,
            "address": f"{reverse('bulk-new')}?bulk={action.action}&of={action.pk}&part={part}"
            + ("&cancelled=1" if action.options.get("with_cancelled") else "")
            + ("&above=1" if action.options.get("above") else ""),
        }
        for part, label in offered
    ]


def _excluded(action: BulkAction) -> list[previews.Excluded]:
    told = action.preview.get("excluded", [])
    return [previews.Excluded(verdict=each["verdict"], count=each["count"]) for each in told]


def _meant(action: BulkAction) -> str:
    """Say which runs are meant."""
    chosen = action.selection
    if "ids" in chosen:
        return f"{formats.plural(len(chosen['ids']), 'run')} picked one by one"
    if "bulk" in chosen:
        part = "those that failed again" if chosen["part"] == "failed" else "the rest"
        return f"{part} of {chosen['bulk']}"
    told = filter_words.told(chosen["filter"])
    return f"runs with {told}" if told else "all runs"


def _lead(move: Callable[..., BulkAction], said: str) -> Callable[[HttpRequest, str], HttpResponse]:
    """Make the view that pauses, resumes or stops an action."""

    @requires("runs.view")
    def view(request: HttpRequest, bulk_id: str) -> HttpResponse:
        action = _find(bulk_id)
        if request.method == "POST":
            access.check(request, PERMISSION[action.action])
            try:
                move(bulk_id, actor=actor_of(request))
                messages.success(request, said)
            except WorkflowError as problem:
                messages.error(request, problem.message)
        return HttpResponseRedirect(reverse("bulk", args=[action.pk]))

    return view


pause = _lead(actions.pause, "Paused: no further run is touched.")
resume = _lead(actions.resume, "It goes on.")
stop = _lead(actions.stop, "Stopped: no further run is touched.")
