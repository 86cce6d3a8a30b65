"""Asking for a bulk action: how many runs an action applies to, the preview of it, and its start."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from console import access, formats
from console.access import requires
from console.actors import actor_of
from console.forms import bulk_form, fork_form
from console.forms.bulk_form import Answer, Question
from console.views import fork_parts
from workflows import quarantine
from workflows.bulk import actions, previews
from workflows.bulk.previews import Preview
from workflows.errors import Conflict, UnknownObject, WorkflowError
from workflows.models import Quarantine
from workflows.queries import run_list
from workflows.queries.step_rows import steps_of

_STEPS: Final = 200
DONE = {"retry": "retried", "cancel": "cancelled", "fork": "forked"}
PERMISSION = {"retry": "runs.retry", "cancel": "runs.cancel", "fork": "runs.start"}


@requires("runs.view")
def counts(request: HttpRequest) -> HttpResponse:
    """Say to how many of the runs that a list's filter matches each action applies, as of now."""
    now = timezone.now()
    try:
        found = previews.counts(bulk_form.selection(_matching(request), now=now), frozen_at=now)
    except WorkflowError as problem:
        return JsonResponse({"problem": problem.message}, status=422)
    return JsonResponse({**found, "frozen": now.isoformat()}, headers={"Cache-Control": "no-store"})


def _matching(request: HttpRequest) -> Any:
    asked = request.GET.copy()
    asked["matching"] = "1"
    return asked


@requires("runs.view")
def new(request: HttpRequest) -> HttpResponse:
    """Show what would happen, or start it."""
    try:
        question = bulk_form.read(request.GET, now=timezone.now())
    except WorkflowError as problem:
        return _nothing(request, problem.message, status=422)
    if question is None:
        raise Http404("This address names no action: select runs in the list, then retry or cancel them.")
    access.check(request, PERMISSION[question.asked.action])
    try:
        _clean(question)
    except UnknownObject as problem:
        return _nothing(request, problem.message, status=404)
    if request.method == "POST":
        return _start(request, question)
    elsewhere = "" if question.chose else _elsewhere(question)
    if elsewhere:
        return HttpResponseRedirect("?" + elsewhere)
    blank = Answer(key=uuid.uuid4().hex)
    if question.asked.action == "cancel":  # nothing outside is asked for more work
        blank = replace(blank, rate="", canary="")
    if question.asked.action == "fork":
        blank = replace(blank, fork=fork_form.read({}))
    return _show(request, question, blank)


def _elsewhere(question: Question) -> str:
    """Return the address of what else is there to be retried where nothing that is meant can be; empty: nowhere."""
    meant = previews.settled(question.asked)
    if meant.above:
        return question.with_above()
    return question.with_cancelled(True) if meant.with_cancelled else ""


def _start(request: HttpRequest, question: Question) -> HttpResponse:
    typed = bulk_form.answer(request.POST, action=question.asked.action)
    if typed.problems:
        return _show(request, question, typed, status=422)
    asked = typed.completed(question.asked)
    order = actions.Order(asked=asked, reason=typed.reason, options=typed.options, expected=typed.expected)
    try:
        started = actions.start(
            order, actor=actor_of(request), key=typed.key or None, undo_s=actions.UNDO_S
        ).action
    except WorkflowError as problem:
        status = 409 if isinstance(problem, Conflict) else 422
        return _show(request, question, typed, problem=problem.message, status=status)
    said = f"{formats.plural(started.total, 'run')} will be {DONE[started.action]} in {actions.UNDO_S:g} seconds."
    messages.success(request, said, extra_tags=reverse("bulk-stop", args=[started.pk]))
    return HttpResponseRedirect(reverse("bulk", args=[started.pk]))


def _show(
    request: HttpRequest, question: Question, typed: Answer, *, problem: str = "", status: int = 200
) -> HttpResponse:
    try:
        found = previews.preview(question.asked)
    except WorkflowError as refused:
        return _nothing(request, refused.message, status=422)
    if not found.matched and not problem:
        return _nothing(request, "No run matches this selection.", status=200)
    context = {
        "question": question,
        "action": question.asked.action,
        "verb": question.asked.action.capitalize(),
        "done": DONE[question.asked.action],
        "found": found,
        "typed": typed,
        "problem": problem,
        "back": reverse("runs") + question.list_address,
        "sample": _sample(found),
        "cancelled": _cancelled(question, found),
        "above": "?" + question.with_above(),
        "lasts": _lasts(found.applies, typed),
        **(_different(question, found, typed) if question.asked.action == "fork" else {}),
    }
    return render(request, "bulk/new.html", context, status=status)


def _sample(found: Preview) -> list[dict[str, Any]]:
    titles = run_list.titles(found.sample)
    return [{"run": run, "title": titles[run.pk]} for run in found.sample]


def _cancelled(question: Question, found: Preview) -> dict[str, Any] | None:
    """Offer to take cancelled runs in, or to leave them out again."""
    if question.asked.with_cancelled:
        return {"label": "Leave cancelled runs out", "address": question.with_cancelled(False)}
    left = any(each.verdict == "cancelled" for each in found.excluded)
    return {"label": "Retry them too", "address": question.with_cancelled(True)} if left else None


def _different(question: Question, found: Preview, typed: Answer) -> dict[str, Any]:
    """Say what can be different in the forks: of runs of one workflow, as its newest run has it."""
    clean = _clean(question)
    if len(found.workflows) != 1:
        return {"clean": clean}
    newest = found.sample[0]
    sent = typed.fork.typed if typed.fork is not None else {}
    steps = [step.path for step in steps_of(newest.pk) if step.started_at is not None]
    return {
        "clean": clean,
        "run": newest,
        "many": True,
        "steps": steps[:_STEPS],
        "chosen": sent.get("from_step", ""),
        "parts": True,
        **fork_parts.of(newest, sent),
    }


def _clean(question: Question) -> Quarantine | None:
    """Return the quarantine without which the runs begin again. Raises: UnknownObject."""
    change = question.asked.change
    return quarantine.get(change.clean_of) if change is not None and change.clean_of is not None else None


def _lasts(count: int, typed: Answer) -> str:
    """Say how long it takes at the rate that stands in the form."""
    try:
        return formats.duration(count / float(typed.rate)) if typed.rate else ""
    except (ValueError, ZeroDivisionError):
        return ""


def _nothing(request: HttpRequest, problem: str, *, status: int) -> HttpResponse:
    """Say why there is nothing to preview."""
    back = reverse("runs") + bulk_form.list_address(request.GET)
    return render(request, "bulk/nothing.html", {"problem": problem, "back": back}, status=status)
