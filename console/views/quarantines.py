"""Quarantines: what was taken out of use, by whom and why, and the runs that used it."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, F
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from console.access import requires
from console.actors import actor_of
from console.forms import moments
from console.views import lineage
from console.views.run_title import title_of
from workflows import pieces, quarantine
from workflows.errors import UnknownObject, WorkflowError
from workflows.models import Quarantine
from workflows.models.quarantines import KINDS
from workflows.pieces import Piece
from workflows.queries import lineage as used

_PAGE: Final = 50
_STAYS: Final = (
    "Where one is live it stays so until you deploy another: the page of the quarantine says where."
)
_HELD: Final = (
    "Nothing new is deployed, rolled out, started, retried or forked onto a release that holds it, itself or in a "
    f"child workflow. {_STAYS}"
)
# What a quarantine of each kind does beside marking the runs that used it.
_FOLLOWS: Final = {
    "document": "No search finds it any more, not even in runs that have begun.",
    "snapshot": "New runs, and those that have not begun, read the newest clean one before it.",
    "prompt": _HELD,
    "tool": _HELD,
    "memory": "The last clean version before it counts.",
    "release": "Nothing new is deployed, rolled out, started, retried or forked onto it, or onto a release that starts "
    f"it. {_STAYS}",
    "provider": "It only marks the runs that were answered in its window. Nothing is taken out of use: to stop asking "
    "the provider, edit the routes that name it.",
}


@requires("runs.view")
def index(request: HttpRequest) -> HttpResponse:
    """List quarantines, those that hold first."""
    found = Quarantine.objects.order_by(F("released_at").asc(nulls_first=True), "-pk").annotate(
        runs=Count("taints")
    )
    page = Paginator(found, _PAGE).get_page(request.GET.get("page"))
    return render(request, "quarantines/list.html", {"page": page})


@requires("quarantines.manage")
def new(request: HttpRequest) -> HttpResponse:
    """Ask what is to be taken out of use, then do it."""
    sent = request.POST if request.method == "POST" else request.GET
    typed = {key: sent.get(key, "").strip()[:1000] for key in ("kind", "ref", "since", "until", "reason")}
    context: dict[str, Any] = {"typed": typed, "kinds": KINDS, **_reach(typed)}
    context["follows"] = _FOLLOWS.get(typed["kind"] or KINDS[0], "")
    if request.method != "POST":
        part = request.headers.get("HX-Target") == "reach"
        return render(request, f"quarantines/{'_reach' if part else 'new'}.html", context)
    try:
        ask = quarantine.Ask(
            kind=typed["kind"],
            ref=typed["ref"],
            reason=typed["reason"],
            since=moments.instant(typed["since"], timezone.localtime()),
            until=moments.instant(typed["until"], timezone.localtime()),
        )
        made = quarantine.impose(ask, actor=actor_of(request))
    except ValueError as problem:
        return render(request, "quarantines/new.html", {**context, "problem": str(problem)}, status=422)
    except WorkflowError as problem:
        return render(request, "quarantines/new.html", {**context, "problem": problem.message}, status=409)
    messages.success(request, f"{made.kind.capitalize()} {made.ref} is quarantined.")
    return HttpResponseRedirect(reverse("quarantine", args=[made.pk]))


def _reach(typed: dict[str, str]) -> dict[str, Any]:
    """Say how many runs used what is named so far, or what is wrong with the name; nothing before it is named."""
    if not typed["ref"]:
        return {}
    now = timezone.localtime()
    since, until = typed["since"], typed["until"]
    try:
        window = {"since": moments.instant(since, now), "until": moments.instant(until, now)}
        piece = pieces.find(Piece(kind=typed["kind"], name=typed["ref"], **window))
    except (WorkflowError, ValueError) as problem:
        return {"misnamed": str(problem)}
    return {
        "totals": used.totals(piece),
        "lineage": lineage.address(piece.kind, piece.name, since=piece.since, until=piece.until),
        "standing": used.quarantines(piece),
    }


@requires("runs.view")
def detail(request: HttpRequest, quarantine_id: int) -> HttpResponse:
    """Show one: the runs that used it, and where a release is live that holds it."""
    found = _find(quarantine_id)
    if found.released_at is None:
        quarantine.mark(found)
    taints = found.taints.select_related("run", "run__release").order_by("-pk")
    page = Paginator(taints, _PAGE).get_page(request.GET.get("page"))
    context = {
        "found": found,
        "page": page,
        "rows": [{"taint": each, "title": title_of(each.run)} for each in page],
        "deployed": quarantine.deployed(found),
        "lineage": lineage.address(found.kind, found.ref, since=found.since, until=found.until),
    }
    return render(request, "quarantines/page.html", context)


@requires("quarantines.manage")
def release(request: HttpRequest, quarantine_id: int) -> HttpResponse:
    """Let it back into use, with a reason."""
    found = _find(quarantine_id)
    if request.method == "POST":
        try:
            quarantine.release(found.pk, actor=actor_of(request), reason=request.POST.get("reason", ""))
        except WorkflowError as problem:
            messages.error(request, problem.message)
        else:
            messages.success(request, f"{found.kind.capitalize()} {found.ref} is in use again.")
    return HttpResponseRedirect(reverse("quarantine", args=[found.pk]))


def _find(quarantine_id: int) -> Quarantine:
    try:
        return quarantine.get(quarantine_id)
    except UnknownObject as problem:
        raise Http404(problem.message) from None
