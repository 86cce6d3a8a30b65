"""Two saved versions of a workflow compared: as a graph, in words, and as texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console import formats
from console.access import requires
from console.drawing import graph_diff, text_diff
from console.drawing.graph import Dress
from console.drawing.graph_diff import Compared
from console.views import workflow_graph
from console.views.workflows import find_version
from workflows.models import Definition
from workflows.queries import definitions, workflow_page
from workflows.spec import writing


@requires("definitions.view")
def pick(request: HttpRequest, name: str) -> HttpResponse:
    """Lead to the address of the two versions that were picked."""
    definition = _definition(name)
    old, new = (find_version(definition, request.GET.get(key, "")) for key in ("old", "new"))
    address = reverse("workflow-diff", args=[definition.name, old.version, new.version])
    layout = {"as": "split"} if request.GET.get("as") == "split" else {}
    return HttpResponseRedirect(address + (f"?{urlencode(layout)}" if layout else ""))


@requires("definitions.view")
def compare(request: HttpRequest, name: str, old: int, new: int) -> HttpResponse:
    """Show what changed from one version to another."""
    definition = _definition(name)
    before, after = find_version(definition, str(old)), find_version(definition, str(new))
    split = request.GET.get("as") == "split"
    texts = [writing.dump([each.body]) for each in (before, after)]
    found = graph_diff.compare(before.body, after.body)
    label = f"Steps of {definition.name}, version {old} and version {new}"
    context: dict[str, Any] = {
        "definition": definition,
        "versions": workflow_page.versions(definition),
        "before": before,
        "after": after,
        "split": split,
        "marks": list(found.marks.values()),
        "drawn": workflow_graph.draw_compared(
            found, dress=_dresses(found, definition, old, new), label=label
        ),
        "comparison": (text_diff.split if split else text_diff.unified)(*texts),
        "counts": text_diff.counts(*texts),
    }
    return render(request, "workflows/diff.html", context)


def _dresses(found: Compared, definition: Definition, old: int, new: int) -> Mapping[str, Dress]:
    """Every step leads to itself in the version that has it."""
    page = reverse("workflow", args=[definition.name])
    made = {}
    for id_ in graph_diff.ids(found):
        mark = found.marks.get(id_)
        version = old if mark and mark.word == "removed" else new
        href = f"{page}?{urlencode({'version': version, 'step': id_})}"
        made[id_] = (
            graph_diff.dress(mark, href=href) if mark else Dress(href=href, line="Unchanged", tone="idle")
        )
    return made


def _definition(name: str) -> Definition:
    definition = definitions.find("Workflow", name)
    if definition is None:
        raise Http404(f"There is no workflow {formats.printable(name)[:80]}.")
    return definition
