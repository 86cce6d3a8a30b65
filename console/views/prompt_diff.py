"""Two saved versions of a prompt compared: the documents, and what each makes of the same values."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console.access import requires
from console.drawing import text_diff
from console.forms.prompt_form import Draft
from console.views import prompt_tabs
from console.views.prompts import find_version
from workflows import editing
from workflows.models import Definition, DefinitionVersion
from workflows.queries import definitions, prompts
from workflows.spec import writing


@requires("definitions.view")
def pick(request: HttpRequest, name: str) -> HttpResponse:
    """Lead to the address of the two versions that were picked."""
    old, new = request.GET.get("old", ""), request.GET.get("new", "")
    definition = _definition(name)
    for number in (old, new):
        find_version(definition, number)
    rest = {key: request.GET[key] for key in ("as", "sample") if request.GET.get(key)}
    address = reverse("prompt-diff", args=[name, int(old), int(new)])
    return HttpResponseRedirect(address + (f"?{urlencode(rest)}" if rest else ""))


@requires("definitions.view")
def compare(request: HttpRequest, name: str, old: int, new: int) -> HttpResponse:
    """Show what changed from one version to another, and in what a model is sent."""
    definition = _definition(name)
    versions = prompts.versions(definition, ())
    before, after = find_version(definition, str(old)), find_version(definition, str(new))
    split = request.GET.get("as") == "split"
    draw = text_diff.split if split else text_diff.unified
    texts = [writing.dump([each.body]) for each in (before, after)]
    context: dict[str, Any] = {
        "definition": definition,
        "versions": versions,
        "before": before,
        "after": after,
        "split": split,
        "sample": request.GET.get("sample", ""),
        "comparison": draw(*texts),
        "counts": text_diff.counts(*texts),
        **_rendered(definition, (before, after), request.GET.get("sample", ""), split=split),
    }
    return render(request, "prompts/diff.html", context)


def _rendered(
    definition: Definition, pair: tuple[DefinitionVersion, DefinitionVersion], sample: str, *, split: bool
) -> dict[str, Any]:
    """Both versions filled in with what one run gave; nothing where no run is kept."""
    numbers = tuple(
        range(definition.latest_version, max(definition.latest_version - prompts.SHOWN_VERSIONS, 0), -1)
    )
    filled, given = [], None
    for version in pair:
        text = writing.dump([version.body])
        checked = editing.read("Prompt", definition.name, text)
        draft = Draft(text=text, base=version.version, sample=sample)
        asked = prompt_tabs.Asked(definition.name, draft, checked, numbers)
        given = given or prompt_tabs.inputs(asked)
        filled.append(prompt_tabs.printable_messages(prompt_tabs.filled(asked, given)))
    draw = text_diff.split if split else text_diff.unified
    found = given is not None and given.chosen is not None and not given.problem
    return {"given": given, "rendered": draw(*filled) if found else ""}


def _definition(name: str) -> Definition:
    definition = definitions.find("Prompt", name)
    if definition is None:
        raise Http404("There is no such prompt.")
    return definition
