"""Starting a run: a form made from the workflow's input schema, filled from an earlier run where asked."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console import formats
from console.access import requires
from console.actors import actor_of
from console.forms import schema_form
from console.forms.schema_form import Field
from console.views import start_parts
from workflows import runs
from workflows.errors import WorkflowError
from workflows.models import Release, Run
from workflows.models.runs import PRIORITIES
from workflows.queries import definitions, run_page

_TITLE_CHARS: Final = 300
_TAGS: Final = 20
_TAG_CHARS: Final = 100


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What is asked beside the input: all of it optional."""

    title: str = ""
    priority: str = "normal"
    tags: str = ""

    @property
    def tag_list(self) -> tuple[str, ...]:
        """The tags, as they stand between commas."""
        parts = (part.strip()[:_TAG_CHARS] for part in self.tags.split(","))
        return tuple(dict.fromkeys(part for part in parts if part))


@dataclass(frozen=True)
class Place:
    """The environment and its release, all releases by environment, and the run that fills the form.

    `shown`: the environment of the form that was sent; another one where that was chosen in it.
    """

    environment: str
    release: Release
    releases: Mapping[str, Release]
    like: str = ""
    shown: str = ""

    @property
    def choices(self) -> tuple[str, ...]:
        """The environments to choose from; nothing where there is no choice."""
        return tuple(self.releases) if len(self.releases) > 1 else ()

    @property
    def moved(self) -> bool:
        """Whether another environment was chosen in the form that was sent."""
        return self.shown not in ("", self.environment)

    @property
    def address(self) -> str:
        """The query of this form, unfilled but for the run that it is like."""
        asked = {"environment": self.environment, "like": self.like}
        return "?" + urlencode({key: value for key, value in asked.items() if value})


@requires("runs.start")
def form(request: HttpRequest, name: str) -> HttpResponse:
    """Show the form, or start a run from what was sent; where another environment was chosen, show its form."""
    chosen = _place(request, name)
    if request.method == "POST" and chosen.moved:
        return _elsewhere(request, chosen)
    if request.method == "POST":
        return _start(request, chosen, definitions.input_schema(chosen.release))
    return _show(request, chosen, _blank(chosen), extras=Extras())


def _blank(chosen: Place) -> tuple[Field, ...]:
    """Return the fields as they stand before anything is typed."""
    asked = schema_form.fields(definitions.input_schema(chosen.release))
    if not chosen.like:
        return asked
    return schema_form.prefilled(asked, _input_of(chosen.release.workflow, chosen.like))


def _elsewhere(request: HttpRequest, chosen: Place) -> HttpResponse:
    """Show the form of another environment with all that was typed; nothing is started."""
    posted = _posted(request)
    before = chosen.releases.get(chosen.shown)  # gone, where somebody took the workflow out of it meanwhile
    asked = schema_form.fields(definitions.input_schema(before)) if before else ()
    shown = schema_form.carried(asked, _blank(chosen), posted)
    answer = _show(request, chosen, shown, extras=_extras(posted), posted=posted)
    answer["HX-Replace-Url"] = request.path + chosen.address
    return answer


def _place(request: HttpRequest, name: str) -> Place:
    """Return where the run is to be started: as asked, else in production, else where the workflow is deployed.

    Raises: Http404 where it is not.
    """
    releases = definitions.deployments(name)
    if not releases:
        raise Http404(f"Workflow {formats.printable(name)[:80]} has no release to run.")
    sent, asked = request.POST.get("environment"), request.GET.get("environment", "")
    if sent and sent not in releases:
        raise Http404(
            f"Workflow {name} has no release in the environment {formats.printable(sent)[:80]} any more."
        )
    environment = sent or (asked if asked in releases else next(iter(releases)))
    return Place(
        environment,
        releases[environment],
        releases,
        like=request.GET.get("like", ""),
        shown=request.POST.get("shown", ""),
    )


@requires("runs.start")
def again(request: HttpRequest, run_id: str) -> HttpResponse:
    """Lead to the form of the same workflow, filled with this run's input."""
    run = Run.objects.filter(id=run_id.replace("\0", "")).first()
    if run is None:
        raise Http404("There is no such run.")
    elsewhere = {} if run.environment_id == definitions.ENVIRONMENT else {"environment": run.environment_id}
    query = urlencode({**elsewhere, "like": run.id})
    return HttpResponseRedirect(f"{reverse('start', args=[run.workflow])}?{query}")


def _input_of(workflow: str, run_id: str) -> Any:
    run = Run.objects.filter(id=run_id.replace("\0", ""), workflow=workflow).first()
    return run_page.value_of(run.input_hash).value if run else None


def _start(request: HttpRequest, chosen: Place, schema: Mapping[str, Any]) -> HttpResponse:
    asked = schema_form.fields(schema)
    posted = _posted(request)
    extras, key = _extras(posted), posted.get("key", "")[:64]
    typed = schema_form.read(asked, posted)
    errors = {name: [problem] for name, problem in typed.problems.items()}
    overall: list[str] = []
    if len(extras.tag_list) > _TAGS:
        overall = [f"At most {_TAGS} tags can be given; these are {len(extras.tag_list)}."]
    if not errors and not overall:
        order = runs.Order(
            workflow=chosen.release.workflow,
            environment=chosen.environment,
            input=typed.value,
            title=extras.title,
            priority=extras.priority,
            tags=extras.tag_list,
        )
        try:
            started = runs.start(
                order, actor=actor_of(request), trigger="console", idempotency_key=key or None
            )
        except WorkflowError as problem:
            errors, overall = schema_form.by_field(problem.errors, asked)
            overall = overall or ([] if errors else [problem.message])
        else:
            return HttpResponseRedirect(reverse("run", args=[started.run.pk]))
    shown = schema_form.again(asked, posted, errors)
    return _show(request, chosen, shown, extras=extras, posted=posted, overall=overall, status=422)


def _posted(request: HttpRequest) -> dict[str, str]:
    return {key: value for key, value in request.POST.items() if isinstance(value, str)}


def _extras(posted: Mapping[str, str]) -> Extras:
    priority = posted.get("priority", "normal")
    return Extras(
        title=posted.get("title", "").strip()[:_TITLE_CHARS],
        priority=priority if priority in PRIORITIES else "normal",
        tags=posted.get("tags", "").strip()[: 2 * _TAGS * _TAG_CHARS],
    )


def _show(
    request: HttpRequest,
    chosen: Place,
    shown: tuple[Field, ...],
    *,
    extras: Extras,
    posted: Mapping[str, str] | None = None,
    overall: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    release = chosen.release
    context = {
        "release": release,
        "place": chosen,
        "fields": shown,
        "title": extras.title,
        "extras": extras,
        "priorities": PRIORITIES,
        # A refused request does not use its key up; a changed one needs another.
        "key": uuid.uuid4().hex,
        "unasked": schema_form.unasked(shown, posted or {}),
        "overall": overall or [],
        "wrong": sum(bool(each.errors) for each in shown),
        "recent": definitions.recent_inputs(release.workflow),
        **start_parts.of(release),
    }
    part = request.headers.get("HX-Request")
    context["moved"] = chosen.moved and not part
    return render(request, f"workflows/{'_start' if part else 'start'}.html", context, status=status)
