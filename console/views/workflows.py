"""Workflows: the list with its figures, and one with its graph, definition, versions and releases."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from console import formats
from console.access import requires
from console.drawing import graph_model, looks, sparkline
from console.drawing.graph_model import kind_of
from console.views import pause_notice, workflow_graph
from workflows.models import Definition, DefinitionVersion
from workflows.queries import (
    definitions,
    overview,
    run_list,
    run_page,
    schedules,
    workflow_list,
    workflow_page,
)
from workflows.queries.workflow_list import WorkflowRow
from workflows.queries.workflow_page import StepFigures
from workflows.spec import writing
from workflows.spec.kinds import NAME

TABS: Final = (
    ("", "Graph"),
    ("definition", "Definition"),
    ("versions", "Versions"),
    ("releases", "Releases"),
)
RANGES: Final = {
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
}
# The keys of a step that name a document: what it is called, and the page that shows it.
_USES: Final = {
    "prompt": ("Prompt", "prompt"),
    "route": ("Route", ""),
    "tool": ("Tool", ""),
    "retrieve": ("Corpus", "corpus"),
    "workflow": ("Workflow", "workflow"),
}
_FIGURES_S: Final = 2.0  # a slow database costs the page its figures, not the page


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the address of a workflow's page asks for."""

    tab: str
    range: str
    step: str
    opened: tuple[str, ...]
    version: str

    @property
    def kept(self) -> dict[str, str]:
        """What further links on the page keep of the address."""
        return {
            "range": self.range if self.range != "24h" else "",
            "version": self.version,
            "open": ",".join(self.opened),
        }


@requires("definitions.view")
def index(request: HttpRequest) -> HttpResponse:
    """List the workflows, those that fail first; a poll whose answer is still right gets 304."""
    now = timezone.now()
    contains, after = request.GET.get("q", "").strip()[:63], request.GET.get("after", "")[:63]
    mark = _mark(request, now)
    if request.headers.get("HX-PTag") == mark:
        return HttpResponse(status=304)
    found = workflow_list.page(contains=contains, after=after, now=now)
    context = {
        "rows": [_row(row) for row in found.rows],
        "contains": contains,
        "first": "?" + urlencode({"q": contains}) if after else "",
        "next": "?" + urlencode({"q": contains, "after": found.rows[-1].name}) if found.more else "",
        "total": found.total,
        "mark": mark,
        "poll": request.get_full_path(),
    }
    answer = render(request, "workflows/_rows.html" if _is_part(request) else "workflows/list.html", context)
    answer["HX-PTag"] = mark
    return answer


def _mark(request: HttpRequest, now: datetime) -> str:
    """Name what the list shows: it changes with any run, any save, and by the minute."""
    parts = [
        run_list.change_mark(),
        workflow_list.change_mark(),
        int(now.timestamp()) // 60,
        request.get_full_path(),
    ]
    return hashlib.sha256(repr(parts).encode("utf-8", "replace")).hexdigest()[:16]


def _row(row: WorkflowRow) -> dict[str, Any]:
    label = f"{formats.plural(row.runs, 'run')} in the last 24 hours, {row.failed:,} failed"
    return {
        "row": row,
        "success": formats.share(row.success),
        "line": sparkline.bars(row.runs_line, failed=row.failed_line, label=label) if row.runs else "",
    }


@requires("definitions.view")
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show a workflow at one of its versions, in one of its tabs."""
    definition, shown, want = _open(request, name)
    context = {**_head(definition, shown, want), **_tab(definition, shown, want)}
    context["notice"] = pause_notice.notice(workflow=definition.name)
    return render(request, "workflows/page.html", context)


@requires("definitions.view")
def step(request: HttpRequest, name: str) -> HttpResponse:
    """Show one step of a workflow, beside its graph."""
    definition, shown, want = _open(request, name)
    if not _is_part(request):
        query = urlencode({**want.kept, "step": want.step})
        return HttpResponseRedirect(f"{reverse('workflow', args=[name])}?{query}")
    context = _step(definition, shown, want, _step_figures(definition, want))
    return render(request, "workflows/_step.html", context)


def _is_part(request: HttpRequest) -> bool:
    return bool(request.headers.get("HX-Request"))


def _open(request: HttpRequest, name: str) -> tuple[Definition, DefinitionVersion, Asked]:
    definition = definitions.find("Workflow", name)
    if definition is None:
        raise Http404(f"There is no workflow {formats.printable(name)[:80]}.")
    get = request.GET
    opened = [each for each in get.get("open", "").split(",") if each]
    want = Asked(
        tab=get.get("tab", "") if get.get("tab", "") in dict(TABS) else "",
        range=get.get("range", "") if get.get("range", "") in RANGES else "24h",
        step=get.get("step", "")[:63],
        opened=tuple(opened[:50]),
        version=get.get("version", "")[:8],
    )
    return definition, find_version(definition, want.version or str(definition.latest_version)), want


def find_version(definition: Definition, number: str) -> DefinitionVersion:
    """Find a version by the number in an address. Raises: Http404."""
    fits = number.isascii() and number.isdigit() and len(number) < 9
    found = definition.versions.filter(version=int(number)).first() if fits else None
    if found is None:
        raise Http404(f"Workflow {definition.name} has no such version.")
    return found


def _head(definition: Definition, shown: DefinitionVersion, want: Asked) -> dict[str, Any]:
    since, until = _window(want)
    try:
        with overview.bounded(seconds=_FIGURES_S):
            found = workflow_page.figures(definition.name, since=since, until=until)
    except DatabaseError:
        found = None
    deployed = workflow_page.deployments(definition.name)
    return {
        "definition": definition,
        "shown": shown,
        "want": want,
        "figures": found,
        "success": formats.share(found.success if found else None),
        "deployed": deployed,
        "startable": bool(deployed),
        "schedules": schedules.of_workflow(definition.name),
        "ranges": [
            {
                "label": f"{key[:-1]} {key[-1]}",
                "words": words,
                "current": key == want.range,
                "address": "?" + _query(want, tab=want.tab, range=key, step=want.step),
            }
            for key, (words, _) in RANGES.items()
        ],
        "range_words": RANGES[want.range][0],
        "tabs": [
            {"label": label, "current": key == want.tab, "address": "?" + _query(want, tab=key)}
            for key, label in TABS
        ],
    }


def _query(want: Asked, **changed: str) -> str:
    values = {**want.kept, **changed}
    if values.get("range") == "24h":
        values["range"] = ""
    return urlencode({key: value for key, value in values.items() if value})


def _window(want: Asked) -> tuple[datetime, datetime]:
    now = timezone.now()
    return now - RANGES[want.range][1], now


def _tab(definition: Definition, shown: DefinitionVersion, want: Asked) -> dict[str, Any]:
    if want.tab == "definition":
        text = writing.dump([shown.body])
        return {"body": formats.printable(text), "lines": text.count("\n")}
    if want.tab == "versions":
        return {"versions": workflow_page.versions(definition), "most": workflow_page.SHOWN}
    if want.tab == "releases":
        return {"releases": workflow_page.releases(definition.name), "most": workflow_page.SHOWN}
    found = _step_figures(definition, want)
    drawn = workflow_graph.draw(
        shown.body,
        dress=workflow_graph.with_figures(shown.body, found or {}, kept=want.kept),
        opened=want.opened,
        label=f"Steps of {definition.name}, version {shown.version}",
        selected=want.step,
    )
    return {
        "drawn": drawn,
        "step_address": reverse("workflow-step", args=[definition.name]),
        "no_figures": found is None,
        "graph_note": f"Each step: success, p95 and share of the cost, of at most the newest "
        f"{workflow_page.STEP_RUNS} runs of the last {RANGES[want.range][0]}.",
        **(_step(definition, shown, want, found) if want.step else {}),
    }


def _step_figures(definition: Definition, want: Asked) -> Mapping[str, StepFigures] | None:
    """The figures of each step; None where the database is too slow for them."""
    since, until = _window(want)
    try:
        with overview.bounded(seconds=_FIGURES_S):
            return workflow_page.step_figures(definition.name, since=since, until=until)
    except DatabaseError:
        return None


def _step(
    definition: Definition,
    shown: DefinitionVersion,
    want: Asked,
    found: Mapping[str, StepFigures] | None,
) -> dict[str, Any]:
    """One step in detail; it may be gone from the version that is shown."""
    context = {
        "definition": definition,
        "shown": shown,
        "want": want,
        "range_words": RANGES[want.range][0],
        "close": "?" + _query(want),
    }
    document = run_page.find_steps(shown.body).get(want.step)
    if document is None:
        return {**context, "step": None, "missing_step": formats.printable(want.step)}
    figures = (found or {}).get(want.step) or StepFigures()
    kind = kind_of(document)
    opened = ",".join([*want.opened, want.step])
    shown_step = {
        "id": want.step,
        "look": looks.kind_look(kind),
        "figures": figures if figures.runs else None,
        "success": formats.share(figures.success),
        "cost": formats.share(figures.cost_share),
        "uses": [_use(key, document[key]) for key in _USES if isinstance(document.get(key), str)],
        "text": formats.printable(writing.dump([document])),
        "folded": "?" + _query(want, open=opened, step=want.step) if _is_folded(shown, want) else "",
    }
    return {**context, "step": shown_step}


def _use(key: str, name: str) -> dict[str, str]:
    """A document that a step names, and its page where it has one."""
    kind, route = _USES[key]
    plain = name.partition("@")[0]
    address = reverse(route, args=[plain]) if route and NAME.match(plain) else ""
    return {"kind": kind, "name": name, "address": address}


def _is_folded(shown: DefinitionVersion, want: Asked) -> bool:
    drawn = graph_model.bounded(graph_model.read(shown.body), opened=frozenset(want.opened))
    return any(node.id == want.step and node.hidden for node in graph_model.walk(drawn.nodes))
