"""Memory: the keys that workflows remember, one with its versions, and what a person does to it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console.access import requires
from console.actors import actor_of
from console.drawing import json_text
from console.views import lineage
from workflows import memory
from workflows.errors import UnknownObject, WorkflowError
from workflows.queries import memory_page
from workflows.remembering import Place

_SHOWN = 200_000  # characters of a value


@requires("memory.view")
def index(request: HttpRequest) -> HttpResponse:
    """List the keys, those changed last first."""
    contains = request.GET.get("q", "").strip()[:200].replace("\0", "")
    environment = request.GET.get("environment", "")[:63].replace("\0", "")
    found = memory_page.keys(contains=contains, environment=environment, after=request.GET.get("after", ""))
    context = {
        "rows": [
            {"each": each, "address": _address(each.environment_id, each.scope, each.key)}
            for each in found.rows
        ],
        "contains": contains,
        "environment": environment,
        "environments": memory_page.environments(),
        "next": "?" + urlencode({"q": contains, "environment": environment, "after": found.after})
        if found.after
        else "",
    }
    return render(request, "memory/list.html", context)


@requires("memory.view")
def detail(request: HttpRequest) -> HttpResponse:
    """Show a key: its value, at the newest version or an older one, and its history."""
    place = _place(request)
    try:
        versions = memory.history(place)
        number = request.GET.get("version", "")
        shown = int(number) if number.isdecimal() else versions[0].number
        value = memory.value_at(place, shown)
    except UnknownObject as problem:
        raise Http404(problem.message) from problem
    text = json_text.serialise(value)
    context = {
        "place": place,
        "here": _address(place.environment, place.scope, place.key),
        "change": _address(place.environment, place.scope, place.key, route="memory-change"),
        "versions": versions,
        "shown": shown,
        "newest": versions[0].number,
        "text": json_text.highlight(text[:_SHOWN]),
        "cut": len(text) > _SHOWN,
        "touched": memory.touched(place),
        "lineage": lineage.address("memory", f"{place}@{shown}"),
    }
    return render(request, "memory/page.html", context)


@requires("memory.write")
def change(request: HttpRequest) -> HttpResponse:
    """Restore an older version, or forget everything; asks before it forgets."""
    place = _place(request)
    back = HttpResponseRedirect(_address(place.environment, place.scope, place.key))
    if request.method != "POST":
        return _ask(request, place)
    try:
        if request.POST.get("do") == "restore":
            number = request.POST.get("version", "")
            memory.restore(place, int(number) if number.isdecimal() else 0, actor=actor_of(request))
            messages.success(request, f"Version {number} is the newest again.")
        else:
            memory.forget(place, actor=actor_of(request), reason=request.POST.get("reason", ""))
            messages.success(request, "It is forgotten.")
    except WorkflowError as problem:
        return _ask(request, place, problem=problem.message)
    return back


def _ask(request: HttpRequest, place: Place, problem: str = "") -> HttpResponse:
    here = _address(place.environment, place.scope, place.key)
    context: dict[str, Any] = {
        "place": place,
        "here": here,
        "change": _address(place.environment, place.scope, place.key, route="memory-change"),
        "problem": problem,
        "touched": memory.touched(place),
    }
    template = "memory/_forget.html" if request.headers.get("HX-Request") else "memory/ask.html"
    return render(request, template, context, status=409 if problem else 200)


def _place(request: HttpRequest) -> Place:
    asked = {name: request.GET.get(name, "") for name in ("environment", "scope", "key")}
    try:
        return memory.place(**asked)
    except WorkflowError as problem:
        raise Http404(problem.message) from problem


def _address(environment: str, scope: str, key: str, *, route: str = "memory-key") -> str:
    return reverse(route) + "?" + urlencode({"environment": environment, "scope": scope, "key": key})
