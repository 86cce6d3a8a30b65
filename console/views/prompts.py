"""Prompts: the list, and one with its versions and messages."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from console import formats
from console.access import requires
from console.views.versions import chosen_version
from workflows.queries import definitions
from workflows.spec import writing


@requires("definitions.view")
def index(request: HttpRequest) -> HttpResponse:
    """List the prompts."""
    return render(request, "prompts/list.html", {"rows": definitions.latest("Prompt")})


@requires("definitions.view")
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show a prompt at one of its versions."""
    definition = definitions.find("Prompt", name)
    if definition is None:
        raise Http404(f"There is no prompt {name}.")
    versions = definitions.versions(definition)
    shown = chosen_version(request, versions)
    rest = {key: value for key, value in shown.body.items() if key not in {"kind", "name", "messages"}}
    context = {
        "definition": definition,
        "versions": versions,
        "shown": shown,
        "prompt_messages": shown.body.get("messages", []),
        "rest": formats.printable(writing.dump([rest])) if rest else "",
        "used_by": definitions.used_by(name),
    }
    return render(request, "prompts/page.html", context)
