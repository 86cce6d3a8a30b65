"""What a person may do to a run: cancel, retry, pause, resume, signal, settle a step. Each asks first."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console import formats
from console.access import requires
from console.actors import actor_of
from console.forms import resolve_form
from console.views import settling
from console.views.run_find import find
from console.views.run_title import title_of
from workflows import recovery, runs, states
from workflows.errors import UnknownObject, WorkflowError
from workflows.models import Run
from workflows.queries import run_page, workflow_page


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
    """Ask, then let the run go on: from its failed steps, or again from the step that is named."""
    run = find(run_id)
    asked = request.POST if request.method == "POST" else request.GET
    from_step = asked.get("step") or None
    typed = asked.get("release", "")
    release = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 10 else None
    if request.method != "POST":
        return _ask(request, run, "run/_retry.html", _reach_of_retry(run, from_step, release))
    try:
        recovery.retry(
            run.id,
            actor=actor_of(request),
            reason=_reason(request),
            from_step=from_step,
            release=release,
            repeat_effects=request.POST.getlist("repeat"),
        )
    except WorkflowError as problem:
        reach = _reach_of_retry(run, from_step, release)
        reach["problem"] = "" if reach.get("misfit") else problem.message
        return _ask(request, run, "run/_retry.html", reach, 409)
    return _done(request, run, "The run goes on.")


@requires("runs.resolve")
def resolve(request: HttpRequest, run_id: str) -> HttpResponse:
    """Ask what became of a step whose outcome is unknown, then settle it so."""
    run = find(run_id)
    asked = request.POST if request.method == "POST" else request.GET
    form = resolve_form.read(asked)
    try:
        reach = settling.reach(run.id, form)
    except UnknownObject as problem:
        raise Http404(problem.message) from problem
    if request.method != "POST":
        return _ask(request, run, "run/_resolve.html", reach)
    if form.action and not form.problems:
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
            reach |= {"problem": problem.message, "errors": problem.errors}
            return _ask(request, run, "run/_resolve.html", reach, 409)
        return _done(request, run, f"{form.step} is settled.")
    return _ask(request, run, "run/_resolve.html", reach, 409)


@requires("runs.pause")
def pause(request: HttpRequest, run_id: str) -> HttpResponse:
    """Ask, then hold the run."""
    run = find(run_id)
    reach = {"running": [step.path for step in run_page.steps_of(run.id) if step.state == "running"]}
    if request.method != "POST":
        return _ask(request, run, "run/_pause.html", reach)
    try:
        runs.pause(run.id, actor=actor_of(request), reason=_reason(request))
    except WorkflowError as problem:
        return _ask(request, run, "run/_pause.html", {**reach, "problem": problem.message}, 409)
    return _done(request, run, "The run is paused.")


@requires("runs.pause")
def resume(request: HttpRequest, run_id: str) -> HttpResponse:
    """Ask, then lead a paused run on."""
    run = find(run_id)
    if request.method != "POST":
        return _ask(request, run, "run/_resume.html", {})
    try:
        runs.resume(run.id, actor=actor_of(request), reason=_reason(request))
    except WorkflowError as problem:
        return _ask(request, run, "run/_resume.html", {"problem": problem.message}, 409)
    return _done(request, run, "The run goes on.")


@requires("runs.signal")
def signal(request: HttpRequest, run_id: str) -> HttpResponse:
    """Ask which signal and what it carries, then send it."""
    run = find(run_id)
    given = {key: request.POST.get(key, "") for key in ("name", "payload")}
    asked: dict[str, Any] = {"names": runs.signals_of(run), **given}
    if request.method != "POST":
        return _ask(request, run, "run/_signal.html", asked)
    try:
        payload = json.loads(given["payload"]) if given["payload"].strip() else None
    except (ValueError, RecursionError) as problem:
        return _ask(request, run, "run/_signal.html", {**asked, "problem": f"Not JSON: {problem}"}, 422)
    try:
        runs.signal(run.id, given["name"], payload, actor=actor_of(request))
    except WorkflowError as problem:
        return _ask(request, run, "run/_signal.html", {**asked, "problem": problem.message}, 409)
    return _done(request, run, "The signal is sent.")


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


def _reach_of_retry(run: Run, from_step: str | None, release: int | None) -> dict[str, Any]:
    """Say which steps run again, which results are kept, and which effects happen; or why a release does not fit."""
    releases = workflow_page.releases(run.workflow)[:20]
    shared: dict[str, Any] = {"from_step": from_step, "releases": releases, "chosen": release}
    try:
        found = recovery.preview(run.id, from_step=from_step, release=release)
    except (WorkflowError, LookupError) as problem:
        if release is not None and isinstance(problem, WorkflowError):
            return {**shared, "misfit": problem.message}
        # On its own release it is told when it is tried.
        return {**shared, "failed": [], "more_failed": 0, "kept": "finished steps"}
    return {
        **shared,
        "failed": found.again[:8],
        "more_failed": max(len(found.again) - 8, 0),
        "kept": formats.plural(found.kept, "finished step"),
        "kept_one": found.kept == 1,
        "kept_s": "s" if found.kept == 1 else "",
        "cost": found.cost_usd,
        "again_effects": [each for each in found.effects if each.happens == "again"],
        "once_effects": [each for each in found.effects if each.happens == "kept"],
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
