"""One group of failures: what is known of it, its runs, who looks after it, and the way to recover them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console import access
from console.access import requires
from console.actors import actor_of
from console.models import User
from console.views.recovery import recover_address, spark
from workflows.errors import Conflict, UnknownObject, WorkflowError
from workflows.failures import groups
from workflows.failures.groups import Change
from workflows.models import ErrorGroup
from workflows.queries import error_groups, run_list

_SAVED: Final = {
    "resolved": "Resolved. If it is seen again, it opens by itself.",
    "open": "Open again.",
}


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a person says of a group, as it was sent. `state`: empty where that is to stay as it is."""

    assigned_to: str
    note: str
    state: str
    base: int | None

    @classmethod
    def read(cls, posted: Mapping[str, str], group: ErrorGroup) -> Said:
        """Read a form; what it does not have stays as it is."""
        base = posted.get("revision", "")
        return cls(
            assigned_to=posted.get("assigned_to", group.assigned_to),
            note=posted.get("note", group.note),
            state=posted.get("state", ""),
            base=int(base) if base.isascii() and base.isdigit() and len(base) < 9 else None,
        )

    @property
    def change(self) -> Change:
        return Change(assigned_to=self.assigned_to, note=self.note, state=self.state or None)


@requires("runs.view")
def detail(request: HttpRequest, group_id: int) -> HttpResponse:
    """Show a group, or change what a person says of it."""
    group = _find(group_id)
    if request.method == "POST":
        return _change(request, group)
    return _show(request, group)


def _show(
    request: HttpRequest,
    group: ErrorGroup,
    *,
    mine: Said | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    """Draw the page; with `mine` that could not be saved, in the form as it was sent."""
    [shown] = error_groups.shown([group])
    sample = error_groups.sample(group)
    titles = run_list.titles(sample)
    context = {
        "group": group,
        "shown": shown,
        "spark": spark(shown),
        "recover": recover_address(shown),
        "runs": [{"run": run, "title": titles[run.pk]} for run in sample],
        "releases": sorted(error_groups.failed_by_release(group).items(), reverse=True),
        "people": _people(group),
        "may_change": access.may(access.role_of(request), "runs.retry"),
        "said": mine or group,
        "problem": problem,
        "theirs": group if status == 409 else None,
    }
    return render(request, "recovery/group.html", context, status=status)


def _people(group: ErrorGroup) -> list[str]:
    """Return who can be asked to look after it; one who left stays until somebody else is named."""
    active = User.objects.filter(is_active=True).order_by("username").values_list("username", flat=True)
    return sorted({*active, *filter(None, [group.assigned_to])})


def _change(request: HttpRequest, group: ErrorGroup) -> HttpResponse:
    access.check(request, "runs.retry")
    mine = Said.read({name: str(value) for name, value in request.POST.items()}, group)
    if mine.assigned_to and mine.assigned_to not in _people(group):
        return _show(
            request,
            group,
            mine=mine,
            problem="Nobody of that name can be asked. Nothing was changed.",
            status=422,
        )
    try:
        groups.change(group.pk, mine.change, actor=actor_of(request), base=mine.base)
    except Conflict:
        return _show(request, _find(group.pk), mine=mine, status=409)
    except WorkflowError as problem:
        return _show(request, group, mine=mine, problem=problem.message, status=422)
    messages.success(request, _SAVED.get(mine.state, "Saved."))
    return HttpResponseRedirect(reverse("error-group", args=[group.pk]))


def _find(group_id: int) -> ErrorGroup:
    try:
        return groups.get(group_id)
    except UnknownObject as problem:
        raise Http404(problem.message) from problem
