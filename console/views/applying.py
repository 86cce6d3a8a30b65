"""Applying files in the console: paste or drop them, look at the plan, apply exactly that."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console import access, formats
from console.access import requires
from console.actors import actor_of
from console.forms import apply_form
from console.forms.apply_form import Sources
from console.views import plans
from workflows import planning
from workflows.definitions import Applied
from workflows.errors import Conflict
from workflows.spec.places import SpecError

_PERMISSION: Final = "definitions.apply"
_SHOWN: Final = 200  # faults
_NOTHING: Final = Sources(texts=(), action="", seen="", reason="")


@requires("definitions.view")
def index(request: HttpRequest) -> HttpResponse:
    """Show the form, the plan of what was sent, or apply it."""
    if request.method != "POST":
        return _form(request, _NOTHING)
    access.check(request, _PERMISSION)
    sent = apply_form.read(request)
    if sent.action == "edit":
        return _form(request, sent)
    if sent.problems or not sent.texts:
        nothing = () if sent.problems else ("Paste a document, or choose a file.",)
        return _form(request, sent, problems=(*sent.problems, *nothing), status=422)
    return _apply(request, sent) if sent.action == "apply" else _plan(request, sent)


def _plan(request: HttpRequest, sent: Sources, *, changed: bool = False) -> HttpResponse:
    planned = planning.plan(sent.as_documents, actor=actor_of(request))
    if planned.errors:
        return _form(request, sent, errors=planned.errors, status=422)
    if not planned.plan:
        return _form(request, sent, problems=("There is no document in these texts.",), status=422)
    context = {
        "sent": sent,
        "plan": plans.plan(planned),
        "seen": planning.mark(planned),
        "changed": changed,
    }
    return render(request, "apply/plan.html", context, status=409 if changed else 200)


def _apply(request: HttpRequest, sent: Sources) -> HttpResponse:
    try:
        done = planning.carry_out(
            sent.as_documents,
            actor=actor_of(request),
            seen=sent.seen,
            reason=formats.printable(sent.reason),
        )
    except Conflict:
        return _plan(request, sent, changed=True)
    if done.errors:
        return _form(request, sent, errors=done.errors, status=422)
    messages.success(request, _told(done), extra_tags=f"saved {reverse('apply')}")
    return HttpResponseRedirect(_next(done))


def _told(done: Applied) -> str:
    changed = sum(change.action != "unchanged" for change in done.plan)
    parts = [f"Applied {formats.plural(changed, 'change')}."]
    live = {(workflow, number) for workflow, number, _ in done.deployed}
    waiting = [each for each in done.releases if (each.workflow, each.number) not in live]
    if live:
        parts.append(f"{formats.plural(len(live), 'release')} went live.")
    if waiting:
        parts.append(f"{formats.plural(len(waiting), 'release')} made: deploy to use.")
    return " ".join(parts)


def _next(done: Applied) -> str:
    """The page of what was applied, where it is one workflow; else the list."""
    names = [change.name for change in done.plan if change.kind == "Workflow"]
    return reverse("workflow", args=[names[0]]) if len(names) == 1 else reverse("workflows")


def _form(
    request: HttpRequest,
    sent: Sources,
    *,
    errors: tuple[SpecError, ...] = (),
    problems: tuple[str, ...] = (),
    status: int = 200,
) -> HttpResponse:
    """Draw the form with every text as it was sent, each with its faults."""
    texts = sent.texts or ((apply_form.PASTED, ""),)
    names = {name for name, _ in texts}
    faults = {name: [_fault(error) for error in errors if error.file == name] for name in names}
    context: dict[str, Any] = {
        "sources": [
            {
                "key": f"source-{number}",
                "name": name,
                "text": text,
                "errors": faults[name][:_SHOWN],
                "more": max(len(faults[name]) - _SHOWN, 0),
            }
            for number, (name, text) in enumerate(texts)
        ],
        "elsewhere": [_fault(error) for error in errors if error.file not in names][:_SHOWN],
        "count": len(errors),
        "problems": problems,
        "sent": sent,
        "may_apply": access.may(access.role_of(request), _PERMISSION),
        "most": formats.size(apply_form.MAX_BYTES),
    }
    return render(request, "apply/form.html", context, status=status)


def _fault(error: SpecError) -> dict[str, Any]:
    return {
        "file": formats.printable(error.file),
        "line": error.line or 1,
        "path": formats.printable(error.path),
        "message": formats.printable(error.message),
    }
