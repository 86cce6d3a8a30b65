"""Approvals: what waits for a person, with what it rests on, and the decision."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from console import groups
from console.access import requires
from console.actors import actor_of
from console.forms import schema_form
from console.views.payload import block_of
from workflows import approvals
from workflows.errors import Conflict, UnknownObject, WorkflowError
from workflows.models import Approval
from workflows.queries import approvals as queries

_SOON_S: Final = 1800
_SAID: Final = {
    "approved": ("succeeded", "Approved"),
    "rejected": ("failed", "Rejected"),
    "timed_out": ("cancelled", "Ran out"),
    "cancelled": ("cancelled", "Closed"),
}


@requires("runs.view")
def index(request: HttpRequest) -> HttpResponse:
    """List what waits for a decision, or what was decided; a part for the poll."""
    closed = request.GET.get("show", "") == "closed"
    asked = {key: request.GET.get(key, "").strip()[:150] for key in ("group", "workflow")}
    after = request.GET.get("after", "")
    found = queries.page(closed=closed, after=int(after) if after.isdecimal() else None, **asked)
    kept = {key: value for key, value in asked.items() if value}
    further = {**kept, "show": "closed", "after": found.after}
    context = {
        "rows": [_row(each) for each in found.rows],
        "closed": closed,
        "waiting": queries.count_open(),
        "filters": asked,
        "is_filtered": bool(kept),
        "next": "?" + urlencode(further) if found.after else "",
        "open_address": "?" + urlencode(kept),
        "closed_address": "?" + urlencode({**kept, "show": "closed"}),
        "poll": request.get_full_path(),
    }
    part = bool(request.headers.get("HX-Request"))
    return render(request, f"approvals/{'_rows' if part else 'list'}.html", context)


@requires("runs.view")
def detail(request: HttpRequest, approval_id: int) -> HttpResponse:
    """Show one question with its form and what it rests on."""
    approval = _find(approval_id)
    return _show(request, approval, fields=schema_form.fields(approval.fields) if approval.fields else ())


@requires("runs.view")
def of_run(request: HttpRequest, run_id: str) -> HttpResponse:
    """Lead to the question that a run waits for."""
    asked = (
        Approval.objects.filter(run_id=run_id.replace("\0", ""), closed_at__isnull=True)
        .order_by("id")
        .first()
    )
    if asked is None:
        raise Http404("This run asks nothing at the moment; somebody may have decided already.")
    return HttpResponseRedirect(reverse("approval", args=[asked.pk]))


@requires("approvals.decide")
def decide(request: HttpRequest, approval_id: int) -> HttpResponse:
    """Take a decision. What was typed stays where it cannot be taken."""
    approval = _find(approval_id)
    if request.method != "POST":
        return HttpResponseRedirect(reverse("approval", args=[approval_id]))
    posted = {key: value for key, value in request.POST.items() if isinstance(value, str)}
    approved = posted.get("decision") == "approve"
    asked = schema_form.fields(approval.fields) if approval.fields else ()
    typed = schema_form.read(asked, posted)
    errors = {name: [problem] for name, problem in typed.problems.items()} if approved else {}
    comment = posted.get("comment", "")[: approvals.MAX_COMMENT]
    overall, status = "", 422
    if not errors:
        try:
            approvals.decide(
                approval.pk,
                approved=approved,
                actor=actor_of(request),
                groups=groups.groups_of(request),
                fields=typed.value if approved and asked else None,
                comment=comment,
            )
        except WorkflowError as problem:
            errors, _ = schema_form.by_field(problem.errors, asked)
            overall = "" if errors else problem.message
            status = 409 if isinstance(problem, Conflict) else 422
        else:
            messages.success(
                request, "Approved: the run goes on." if approved else "Rejected: the run goes on."
            )
            return HttpResponseRedirect(reverse("approvals"))
    shown = schema_form.again(asked, posted, errors)
    return _show(request, _find(approval_id), fields=shown, comment=comment, overall=overall, status=status)


def _find(approval_id: int) -> Approval:
    try:
        return approvals.get(approval_id)
    except UnknownObject as problem:
        raise Http404(problem.message) from problem


def _show(
    request: HttpRequest,
    approval: Approval,
    *,
    fields: tuple[schema_form.Field, ...],
    comment: str = "",
    overall: str = "",
    status: int = 200,
) -> HttpResponse:
    belongs = groups.groups_of(request)
    evidence = [
        {"step": step, "output": block_of(approval.run_id, step.output_hash)}
        for step in queries.evidence(approval)
    ]
    context: dict[str, Any] = {
        **_row(approval),
        "fields": fields,
        "comment": comment,
        "overall": overall,
        "wrong": sum(bool(each.errors) for each in fields),
        "evidence": evidence,
        "belongs": belongs is None or not approval.group or approval.group in belongs,
    }
    return render(request, "approvals/page.html", context, status=status)


def _row(approval: Approval) -> dict[str, Any]:
    left_s = (approval.expires_at - timezone.now()).total_seconds() if approval.expires_at else None
    state, said = _SAID.get(approval.outcome, ("waiting", "Waiting"))
    return {
        "approval": approval,
        "state": state,
        "said": said,
        "is_soon": approval.closed_at is None and left_s is not None and left_s < _SOON_S,
    }
