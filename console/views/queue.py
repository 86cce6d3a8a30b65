"""The queue: what waits, behind what, what each worker does; and pauses of a workflow, an environment, everything."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console.access import requires
from console.actors import actor_of
from workflows import pauses
from workflows.errors import WorkflowError
from workflows.models import Environment, Pause
from workflows.models.runs import PRIORITIES
from workflows.queries import queue, workflow_list

_PRIORITY = {number: name for name, number in PRIORITIES.items()}


@requires("runs.view")
def index(request: HttpRequest) -> HttpResponse:
    """Show the queue; a part for the poll."""
    lanes, workers = queue.lanes(), queue.workers()
    context = {
        "lanes": [{"lane": lane, "priority": _PRIORITY.get(lane.priority, lane.priority)} for lane in lanes],
        "workers": workers,
        "keys": queue.places(),
        "pauses": [_shown(each) for each in pauses.all_()],
        "busy": sum(len(worker.doing) for worker in workers),
        "threads": sum(worker.threads for worker in workers if not worker.draining),
        "counted": queue.COUNTED,
        "poll": request.get_full_path(),
    }
    part = bool(request.headers.get("HX-Request"))
    return render(request, f"queue/{'_queue' if part else 'page'}.html", context)


@requires("pauses.manage")
def pause(request: HttpRequest) -> HttpResponse:
    """Ask what to pause and why, then hold it up."""
    asked = {
        key: request.POST.get(key, request.GET.get(key, "")) for key in ("workflow", "environment", "reason")
    }
    if request.method != "POST":
        return _ask(request, asked)
    try:
        held = pauses.add(
            environment=asked["environment"] or None,
            workflow=asked["workflow"] or None,
            actor=actor_of(request),
            reason=asked["reason"],
        )
    except WorkflowError as problem:
        return _ask(request, {**asked, "problem": problem.message}, 409)
    return _done(request, f"{_shown(held)['scope']} is paused.")


@requires("pauses.manage")
def end(request: HttpRequest, pause_id: int) -> HttpResponse:
    """Let a scope go on."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("queue"))
    try:
        pauses.end(pause_id, actor=actor_of(request))
    except WorkflowError as problem:
        messages.error(request, problem.message)
        return HttpResponseRedirect(reverse("queue"))
    return _done(request, "The pause is over.")


def _shown(each: Pause) -> dict[str, Any]:
    return {"pause": each, "scope": pauses.scope_text(each.environment_id, each.workflow)}


def _ask(request: HttpRequest, asked: dict[str, str], status: int = 200) -> HttpResponse:
    template = "queue/_pause.html" if request.headers.get("HX-Request") else "queue/ask.html"
    context = {
        **asked,
        "workflows": workflow_list.names(),
        "environments": list(Environment.objects.order_by("pk").values_list("pk", flat=True)),
    }
    return render(request, template, context, status=status)


def _done(request: HttpRequest, said: str) -> HttpResponse:
    messages.success(request, said)
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": reverse("queue")})
    return HttpResponseRedirect(reverse("queue"))
