"""Workflows: the list, and one with its definition, versions and releases."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from console import formats
from console.access import requires
from console.views.versions import chosen_version
from workflows.queries import definitions, run_page
from workflows.spec import writing


@requires("definitions.view")
def index(request: HttpRequest) -> HttpResponse:
    """List the workflows with their figures of the last day."""
    return render(request, "workflows/list.html", {"rows": definitions.workflows(now=timezone.now())})


@requires("definitions.view")
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show a workflow at one of its versions."""
    definition = definitions.find("Workflow", name)
    if definition is None:
        raise Http404(f"There is no workflow {name}.")
    versions = definitions.versions(definition)
    shown = chosen_version(request, versions)
    context = {
        "definition": definition,
        "versions": versions,
        "shown": shown,
        "body": formats.printable(writing.dump([shown.body])),
        "steps": [
            {"id": step_id, "keys": _does(step)} for step_id, step in run_page.find_steps(shown.body).items()
        ],
        "releases": definitions.releases(name),
        "deployed": definitions.deployed(name),
        "recent": definitions.recent_inputs(name),
    }
    return render(request, "workflows/page.html", context)


def _does(step: object) -> str:
    """Say in a few words what a step of a document does."""
    kinds = (
        "prompt",
        "retrieve",
        "tool",
        "agent",
        "workflow",
        "map",
        "branch",
        "loop",
        "set",
        "approval",
        "wait",
    )
    document = step if isinstance(step, dict) else {}
    for kind in kinds:
        if kind in document:
            named = document[kind]
            return f"{kind} {named}" if isinstance(named, str) else kind
    return ""
