"""The runs list. What stands over the table, counted and drawn: run_figures.py."""

from __future__ import annotations

import hashlib
from typing import Any, Final, cast

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from console import preferences, saved_views
from console.access import requires
from console.forms import moments, run_chips, run_columns, run_filter, run_terms
from console.forms.run_filter import RunQuery
from console.models import SavedView, User
from console.views import pause_notice, run_figures
from workflows.queries import run_list, run_totals
from workflows.queries.run_list import RunFilter, RunsPage

_AMOUNTS: Final = (("cost", "Cost in US dollars"), ("tokens", "Tokens"), ("duration", "Duration"))
_TIMES: Final = (("from", "From"), ("to", "To"))
_SUGGESTED: Final = 3  # parts of a filter that would bring runs back


@requires("runs.view")
def index(request: HttpRequest) -> HttpResponse:
    """Show the runs that match the address; a poll whose answer is still right gets 304."""
    query = run_filter.parse(request.GET)
    asked_by_script, polled = bool(request.headers.get("HX-Request")), "HX-PTag" in request.headers
    if query.problems and asked_by_script and not polled:
        return _problem(request, query)
    mark = _mark(request)
    if request.headers.get("HX-PTag") == mark:
        return HttpResponse(status=304)
    try:
        context = _results(request, query)
    except run_list.CursorError:
        return HttpResponseRedirect(_address(query))
    if not asked_by_script:
        context |= _controls(request, query)
    template = "runs/_results.html" if asked_by_script else "runs/list.html"
    answer = render(request, template, {**context, "mark": mark, "swaps": asked_by_script and not polled})
    answer["HX-PTag"] = mark
    if asked_by_script and not polled:
        answer["HX-Push-Url"] = _address(query)
    return answer


def _address(query: RunQuery, **place: str) -> str:
    return (reverse("runs") + query.address(**place)).removesuffix("?")


def _problem(request: HttpRequest, query: RunQuery) -> HttpResponse:
    """Say what is wrong beside the field; the list stays what it was, and so does the address."""
    answer = render(request, "runs/_problem.html", {"query": query, "kept": True})
    answer["HX-Retarget"], answer["HX-Reswap"] = "#filter-problem", "outerHTML"
    answer["HX-Push-Url"] = "false"
    return answer


def _mark(request: HttpRequest) -> str:
    """Name what an answer shows: another after any event of any run, and each quarter of an hour."""
    quarter = int(timezone.now().timestamp()) // 900
    looks = f"{request.COOKIES.get(run_columns.COOKIE, '')} {timezone.get_current_timezone_name()}"
    text = f"{run_list.change_mark()} {quarter} {looks} {request.get_full_path()}"
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=9).hexdigest()


def _results(request: HttpRequest, query: RunQuery) -> dict[str, Any]:
    """Read what the part that polls shows. Raises: CursorError."""
    now = timezone.now()
    chosen, seen = query.filter(now), request.GET.get("seen", "")
    page = run_list.page(chosen, after=query.after, before=query.before, upto="" if query.before else seen)
    figures = run_figures.summary(query, chosen)
    here = {"after": query.after, "before": query.before}
    views = saved_views.listed(cast(User, request.user))
    return {
        "query": query,
        "page": page,
        "columns": run_columns.read(request),
        "poll": _address(query, **here),
        "list_query": "" if query.address() == "?" else query.list_key,
        "newer": query.address(before=page.newer or ""),
        "older": query.address(after=page.older or ""),
        "any_time": query.address(range="all"),
        "fresh": run_list.newer(chosen, than=seen) if seen else 0,
        "fresh_limit": run_list.NEWER_LIMIT,
        "seen": seen or _seen(query, page),
        "chips": [part for part in run_chips.parts(query) if part.chip],
        "own_views": _own_views(request, query, views),
        **figures,
        **_empty(query, page),
    }


def _seen(query: RunQuery, page: RunsPage) -> str:
    """Name the newest run that the reader knows of; on a later page, this moment."""
    if page.rows and not (query.after or query.before):
        return run_list.encode_cursor(page.rows[0].created_at, page.rows[0].id)
    return run_list.encode_cursor(timezone.now(), "r_")


def _own_views(request: HttpRequest, query: RunQuery, views: list[SavedView]) -> list[dict[str, Any]]:
    """Describe the saved tabs, with the counts that are known."""
    known = saved_views.known_counts(views)
    here = query.address(view="")
    return [
        {
            "view": view,
            "address": f"?{view.query}&view={view.pk}" if view.query else f"?view={view.pk}",
            "current": query.saved == str(view.pk),
            "changed": query.saved == str(view.pk) and here != f"?{view.query}",
            "own": view.owner_id == request.user.pk,
            "count": known.get(view.pk),
        }
        for view in views
    ]


def _empty(query: RunQuery, page: RunsPage) -> dict[str, Any]:
    """Say why there is nothing, where there is nothing: no run at all, or a filter that removes all."""
    if page.rows:
        return {"empty": ""}
    if query.problems:
        return {"empty": "problem"}
    if not query.narrowed and run_totals.oldest(RunFilter()) is None:
        return {"empty": "first-use"}
    if query.after or query.before:
        return {"empty": "paged"}
    return {"empty": "filtered", "ways_out": _ways_out(query)}


def _ways_out(query: RunQuery) -> list[dict[str, Any]]:
    """Say without which part of the filter there would be runs, and how many: those with the most first."""
    now = timezone.now()
    counted = [
        (run_totals.count(run_filter.parse(QueryDict(part.address[1:])).filter(now)), part)
        for part in run_chips.parts(query)
    ]
    most = sorted((each for each in counted if each[0]), key=lambda each: -each[0])[:_SUGGESTED]
    return [{"part": part, "count": n, "capped": n > run_totals.COUNT_LIMIT} for n, part in most]


def _controls(request: HttpRequest, query: RunQuery) -> dict[str, Any]:
    """Read what the controls offer; they are drawn with the page only, so that nothing moves under a hand."""
    environments = run_list.environment_names()
    state = query.values.get("state", "")
    return {
        "notice": pause_notice.notice(),
        "workflows": run_list.workflow_names(),
        "environments": environments if len(environments) > 1 or query.values.get("environment") else [],
        "releases": run_list.release_numbers(query.values.get("workflow", "")),
        "ranges": run_filter.RANGES,
        "state_words": run_terms.STATE_WORDS,
        "odd_state": state if state not in run_terms.STATE_WORDS else "",
        "columns_offered": run_columns.COLUMNS,
        "densities": ("compact", "normal", "roomy"),
        "amounts": [
            (key, name, (query.values.get(f"{key}_min", ""), query.values.get(f"{key}_max", "")))
            for key, name in _AMOUNTS
        ],
        "times": [(name, label, _time_field(query.values.get(name, ""))) for name, label in _TIMES],
    }


def _time_field(value: str) -> dict[str, str]:
    """Fill a field of date and time; what only a text can say (`2h`, `yesterday`) stays a text."""
    found = moments.read(value)
    if found is None or found.ago or found.days_ago is not None:
        return {"kind": "text" if value else "datetime-local", "value": value}
    when = timezone.localtime(found.resolve(timezone.localtime()))
    return {"kind": "datetime-local", "value": f"{when:%Y-%m-%dT%H:%M}"}


@requires("runs.view")
def columns(request: HttpRequest) -> HttpResponse:
    """Keep which columns the list shows, and how dense its rows are."""
    answer = HttpResponseRedirect(_address(run_filter.parse(QueryDict(request.POST.get("query", "")))))
    if request.method == "POST":
        run_columns.write(request, answer, request.POST.getlist("column"))
        preferences.remember(request, answer)
    return answer
