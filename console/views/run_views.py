"""Saved views of the runs list: keep the filter that is shown, rename, share, delete, count."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse

from console import saved_views
from console.access import requires
from console.forms import run_chips, run_filter
from console.models import SavedView, User
from console.saved_views import SavedViewError
from console.views.settings_frame import answer


@requires("runs.view")
def new(request: HttpRequest) -> HttpResponse:
    """Ask for a name, then keep the filter that the address carries as a view."""
    query = _query(request)
    if request.method != "POST":
        return _ask(request, query, name="", shared=False)
    name, shared = request.POST.get("name", ""), bool(request.POST.get("shared"))
    try:
        view = saved_views.create(_person(request), name, query=query, shared=shared)
    except SavedViewError as problem:
        return _ask(request, query, name=name, shared=shared, problem=str(problem))
    messages.success(request, f"The view “{view.name}” is kept.")
    return answer(request, _address(view))


@requires("runs.view")
def change(request: HttpRequest, view_id: int) -> HttpResponse:
    """Ask what is to become of a view of one's own, then rename, share or replace it."""
    view = _own(request, view_id)
    query = _query(request)
    if request.method != "POST":
        return _ask(request, query, name=view.name, shared=view.shared, view=view)
    name, shared = request.POST.get("name", ""), bool(request.POST.get("shared"))
    wanted = query if request.POST.get("replace") else view.query
    try:
        saved_views.change(view, name, query=wanted, shared=shared)
    except SavedViewError as problem:
        return _ask(request, query, name=name, shared=shared, view=view, problem=str(problem))
    messages.success(request, f"The view “{view.name}” is kept.")
    return answer(request, _address(view))


@requires("runs.view")
def delete(request: HttpRequest, view_id: int) -> HttpResponse:
    """Forget a view of one's own; asked for on the view's own form."""
    view = _own(request, view_id)
    if request.method != "POST":
        return _ask(request, view.query, name=view.name, shared=view.shared, view=view)
    saved_views.delete(view)
    messages.success(request, f"The view “{view.name}” is deleted. No run is touched.")
    return answer(request, reverse("runs"))


@requires("runs.view")
def counts(request: HttpRequest) -> HttpResponse:
    """Count what the saved views match, and put the numbers into their tabs."""
    views = saved_views.listed(_person(request))
    counted = saved_views.count(views)
    return render(request, "runs/_view_counts.html", {"counts": [(view, counted[view.pk]) for view in views]})


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)


def _own(request: HttpRequest, view_id: int) -> SavedView:
    view = saved_views.own(_person(request), view_id)
    if view is None:
        raise Http404("You have no such view. Somebody else's view can be changed by its owner only.")
    return view


def _query(request: HttpRequest) -> str:
    """Return the filter that is shown, as the form carries it or as the address does."""
    given = QueryDict(request.POST.get("query", "")) if request.method == "POST" else request.GET
    return run_filter.parse(given).address(view="")[1:]


def _address(view: SavedView) -> str:
    return f"{reverse('runs')}?{view.query}{'&' if view.query else ''}view={view.pk}"


def _ask(request: HttpRequest, query: str, **context: Any) -> HttpResponse:
    asked = run_filter.parse(QueryDict(query))
    view = context.get("view")
    told = {
        "parts": run_chips.parts(asked),
        "query_string": query,
        "differs": bool(view and view.query != query),
        "back": f"{reverse('runs')}?{query}",
        "title": "Change this view" if view else "Save this view",
        "part": "runs/_view_form.html",
        **context,
    }
    template = "runs/_view_form.html" if request.headers.get("HX-Request") else "runs/ask.html"
    return render(request, template, told, status=422 if context.get("problem") else 200)
