"""One group of failures: what is known of it, its runs, who looks after it, and the way to recover them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console import access
from console.access import requires
from console.actors import actor_of
from console.models import User
from console.views.recovery import recover_address, spark
from workflows.errors import UnknownObject, WorkflowError
from workflows.failures import groups
from workflows.failures.groups import Change
from workflows.models import ErrorGroup
from workflows.queries import error_groups, run_list

_FIELDS = ("assigned_to", "note", "state")


@requires("runs.view")
def detail(request: HttpRequest, group_id: int) -> HttpResponse:
    """Show a group, or change what a person says of it."""
    group = _find(group_id)
    if request.method == "POST":
        return _change(request, group)
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
    }
    return render(request, "recovery/group.html", context)


def _people(group: ErrorGroup) -> list[str]:
    """Return who can be asked to look after it; one who left stays until somebody else is named."""
    active = User.objects.filter(is_active=True).order_by("username").values_list("username", flat=True)
    return sorted({*active, *filter(None, [group.assigned_to])})


def _change(request: HttpRequest, group: ErrorGroup) -> HttpResponse:
    access.check(request, "runs.retry")
    asked: dict[str, Any] = {name: request.POST[name] for name in _FIELDS if name in request.POST}
    assigned = asked.get("assigned_to", "")
    if assigned and assigned not in _people(group):
        messages.error(request, "Nobody of that name can be asked. Nothing was changed.")
    else:
        try:
            groups.change(group.pk, Change(**asked), actor=actor_of(request))
            messages.success(request, _SAID.get(asked.get("state", ""), "Saved."))
        except WorkflowError as problem:
            messages.error(request, problem.message)
    return HttpResponseRedirect(reverse("error-group", args=[group.pk]))


_SAID = {
    "resolved": "Resolved. If it is seen again, it opens by itself.",
    "open": "Open again.",
}


def _find(group_id: int) -> ErrorGroup:
    try:
        return groups.get(group_id)
    except UnknownObject as problem:
        raise Http404(problem.message) from problem
