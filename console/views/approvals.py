"""Approvals: what waits for a person, with what it rests on, and the decision."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which questions the list shows: those that wait or those that were answered, of whom, from where on."""

    closed: bool
    group: str = ""
    workflow: str = ""
    after: int | None = None

    @property
    def filters(self) -> dict[str, str]:
        """What narrows the list."""
        return {"group": self.group, "workflow": self.workflow}

    def query(self, **more: object) -> str:
        """Write the address of this list, with more added; empty where nothing is asked."""
        kept = {**self.filters, "show": "closed" if self.closed else "", **more}
        found = urlencode({key: value for key, value in kept.items() if value})
        return f"?{found}" if found else ""


def _asked(request: HttpRequest, *, closed: bool = False) -> Asked:
    """Read the address; `closed`: what is shown where it does not say."""
    given = {key: request.GET.get(key, "").strip()[:150] for key in ("group", "workflow", "after", "show")}
    return Asked(
        closed=given["show"] == "closed" if given["show"] else closed,
        group=given["group"],
        workflow=given["workflow"],
        after=int(given["after"]) if given["after"].isascii() and given["after"].isdigit() else None,
    )


@requires("runs.view")
def index(request: HttpRequest) -> HttpResponse:
    """List what waits for a decision, or what was decided, beside the first of them; only the list for the poll."""
    asked = _asked(request)
    found = _found(asked)
    if request.headers.get("HX-Request"):
        chosen = request.GET.get("chosen", "")
        listed = _list(asked, found, int(chosen) if chosen.isascii() and chosen.isdigit() else None)
        return render(request, "approvals/_rows.html", listed)
    first = found.rows[0] if found.rows else None
    context = _list(asked, found, first.pk if first else None)
    if first:
        context |= _question(request, asked, first, _Typed(_fields_of(first)))
    return render(request, "approvals/list.html", context)


@requires("runs.view")
def detail(request: HttpRequest, approval_id: int) -> HttpResponse:
    """Show one question with its form and what it rests on, beside the list that it stands in."""
    approval = _find(approval_id)
    return _show(request, approval, _Typed(_fields_of(approval)))


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
    """Take a decision, and go on with the list. What was typed stays where it cannot be taken."""
    approval = _find(approval_id)
    if request.method != "POST":
        return HttpResponseRedirect(reverse("approval", args=[approval_id]))
    posted = {key: value for key, value in request.POST.items() if isinstance(value, str)}
    approved = posted.get("decision") == "approve"
    fields = _fields_of(approval)
    typed = schema_form.read(fields, posted)
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
                fields=typed.value if approved and fields else None,
                comment=comment,
            )
        except WorkflowError as problem:
            errors, _ = schema_form.by_field(problem.errors, fields)
            overall = "" if errors else problem.message
            status = 409 if isinstance(problem, Conflict) else 422
        else:
            messages.success(
                request, "Approved: the run goes on." if approved else "Rejected: the run goes on."
            )
            return HttpResponseRedirect(reverse("approvals") + _asked(request).query())
    shown = _Typed(schema_form.again(fields, posted, errors), comment, overall)
    return _show(request, _find(approval_id), shown, status=status)


def _fields_of(approval: Approval) -> tuple[schema_form.Field, ...]:
    return schema_form.fields(approval.fields) if approval.fields else ()


def _find(approval_id: int) -> Approval:
    try:
        return approvals.get(approval_id)
    except UnknownObject as problem:
        raise Http404(problem.message) from problem


@dataclass(frozen=True)
class _Typed:
    """The form as it stands: its fields, and what was wrong with what was sent."""

    fields: tuple[schema_form.Field, ...]
    comment: str = ""
    overall: str = ""


def _show(request: HttpRequest, approval: Approval, typed: _Typed, *, status: int = 200) -> HttpResponse:
    """Show a question beside its list; for a click in the list the question, and the list with it marked."""
    asked = _asked(request, closed=approval.closed_at is not None)
    part = bool(request.headers.get("HX-Request"))
    context = {
        **_list(asked, _found(asked), approval.pk),
        **_question(request, asked, approval, typed),
        "explicit": True,
        "swapped": part,
    }
    return render(request, f"approvals/{'_approval' if part else 'list'}.html", context, status=status)


def _found(asked: Asked) -> queries.Page:
    return queries.page(closed=asked.closed, after=asked.after, group=asked.group, workflow=asked.workflow)


def _list(asked: Asked, found: queries.Page, chosen: int | None) -> dict[str, Any]:
    """Return what the list shows; `chosen` stands beside it."""
    here = reverse("approvals")
    waiting = Asked(closed=False, group=asked.group, workflow=asked.workflow)
    decided = Asked(closed=True, group=asked.group, workflow=asked.workflow)
    return {
        "rows": [
            {**_row(each), "address": reverse("approval", args=[each.pk]) + asked.query()}
            for each in found.rows
        ],
        "closed": asked.closed,
        "chosen": chosen,
        "waiting": queries.count_open(),
        "filters": asked.filters,
        "is_filtered": bool(asked.group or asked.workflow),
        "next": here + asked.query(after=found.after) if found.after else "",
        "back": here + asked.query(),
        "all_address": here + Asked(closed=asked.closed).query(),
        "open_address": here + waiting.query(),
        "closed_address": here + decided.query(),
        "poll": here + asked.query(after=asked.after, chosen=chosen),
    }


def _question(request: HttpRequest, asked: Asked, approval: Approval, typed: _Typed) -> dict[str, Any]:
    """Return what a question shows: its form, who may answer it, and what it rests on."""
    belongs = groups.groups_of(request)
    return {
        **_row(approval),
        "fields": typed.fields,
        "comment": typed.comment,
        "overall": typed.overall,
        "wrong": sum(bool(each.errors) for each in typed.fields),
        "evidence": [
            {"step": step, "output": block_of(approval.run_id, step.output_hash)}
            for step in queries.evidence(approval)
        ],
        "belongs": belongs is None or not approval.group or approval.group in belongs,
        "decide_address": reverse("approval-decide", args=[approval.pk]) + asked.query(),
        "only_workflow": reverse("approvals")
        + Asked(closed=asked.closed, group=asked.group, workflow=approval.workflow).query(),
    }


def _row(approval: Approval) -> dict[str, Any]:
    left_s = (approval.expires_at - timezone.now()).total_seconds() if approval.expires_at else None
    state, said = _SAID.get(approval.outcome, ("waiting", "Waiting"))
    return {
        "approval": approval,
        "state": state,
        "said": said,
        "is_soon": approval.closed_at is None and left_s is not None and left_s < _SOON_S,
    }
