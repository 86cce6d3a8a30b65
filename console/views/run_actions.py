"""What a person may do to a run: cancel it, retry it, settle a step. Each asks first and shows its reach."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console import formats
from console.access import requires
from console.actors import actor_of
from console.forms import resolve_form
from console.views.run_find import find
from console.views.run_title import title_of
from workflows import recovery, runs, states
from workflows.errors import WorkflowError
from workflows.models import Run
from workflows.queries import run_page


@requires("runs.cancel")
def cancel(request: HttpRequest, run_id: str) -> HttpResponse:
    """Ask, then cancel the run."""
    run = find(run_id)
    if request.method != "POST":
        return _ask(request, run, "run/_cancel.html", _reach_of_cancel(run))
    try:
        runs.cancel(run.id, actor=actor_of(request), reason=_reason(request))
    except WorkflowError as problem:
        return _ask(
            request, run, "run/_cancel.html", {**_reach_of_cancel(run), "problem": problem.message}, 409
        )
    return _done(request, run, "The run is being cancelled.")


@requires("runs.retry")
def retry(request: HttpRequest, run_id: str) -> HttpResponse:
    """Ask, then let the run go on from its failed steps."""
    run = find(run_id)
    if request.method != "POST":
        return _ask(request, run, "run/_retry.html", _reach_of_retry(run))
    try:
        recovery.retry(run.id, actor=actor_of(request), reason=_reason(request))
    except WorkflowError as problem:
        return _ask(
            request, run, "run/_retry.html", {**_reach_of_retry(run), "problem": problem.message}, 409
        )
    return _done(request, run, "The run goes on.")


@requires("runs.resolve")
def resolve(request: HttpRequest, run_id: str) -> HttpResponse:
    """Ask what became of a step whose outcome is unknown, then settle it so."""
    run = find(run_id)
    asked = request.POST if request.method == "POST" else request.GET
    form = resolve_form.read(asked)
    if request.method != "POST":
        return _ask(request, run, "run/_resolve.html", {"form": form})
    if not form.problems:
        try:
            recovery.resolve(
                run.id,
                form.step,
                action=form.action,
                actor=actor_of(request),
                reason=form.reason,
                output=form.output,
            )
        except WorkflowError as problem:
            return _ask(request, run, "run/_resolve.html", {"form": form, "problem": problem.message}, 409)
        return _done(request, run, f"{form.step} is settled.")
    return _ask(request, run, "run/_resolve.html", {"form": form}, 409)


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").strip()[:1000]


def _reach_of_cancel(run: Run) -> dict[str, Any]:
    """Say what cancelling does to the steps as they are now."""
    steps = run_page.steps_of(run.id)
    running = [step.path for step in steps if step.state == "running"]
    waiting = sum(step.state in {"pending", "ready", "waiting"} for step in steps)
    return {
        "running": running,
        "not_started": formats.plural(waiting, "step"),
        "kept": formats.plural(sum(step.state in states.STEP_DONE for step in steps), "finished step"),
    }


def _reach_of_retry(run: Run) -> dict[str, Any]:
    """Say which steps run again and which results are kept."""
    steps = run_page.steps_of(run.id)
    failed = [step.path for step in steps if step.state == "failed"]
    return {
        "failed": failed[:8],
        "more_failed": max(len(failed) - 8, 0),
        "kept": formats.plural(sum(step.state in states.STEP_DONE for step in steps), "finished step"),
    }


def _ask(request: HttpRequest, run: Run, part: str, reach: dict[str, Any], status: int = 200) -> HttpResponse:
    """Show the question: into the page's dialog, or as a page of its own without JavaScript."""
    template = part if request.headers.get("HX-Request") else "run/ask.html"
    return render(
        request,
        template,
        {"run": run, "title": title_of(run), "part": part, **reach},
        status=status,
    )


def _done(request: HttpRequest, run: Run, said: str) -> HttpResponse:
    messages.success(request, said)
    address = reverse("run", args=[run.id])
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)
