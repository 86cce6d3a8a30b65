"""A rollout: where it stands, its figures, what happened; and what a person does about it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from console import formats
from console.access import requires
from console.actors import actor_of
from console.drawing import ladder
from console.views.settings_frame import answer
from workflows.errors import UnknownObject, WorkflowError
from workflows.models import Release, Rollout
from workflows.models.rollouts import ROLLOUT_ACTIVE
from workflows.queries import rollouts as queries
from workflows.releases import environments, machine, resolve, rollouts

_LIMITS: Final = {
    "max": "at most {}",
    "min": "at least {}",
    "max_increase": "at most {} more",
    "max_ratio": "at most {} × stable",
    "min_ratio": "at least {} × stable",
}


@dataclass(frozen=True)
class Figure:
    """One limit as a row of the table."""

    name: str
    limit: str
    stable: str
    candidate: str
    n_stable: int
    n: int
    interval: str
    verdict: str
    words: str
    dry_run: bool


@requires("definitions.view")
def detail(request: HttpRequest, rollout_id: int) -> HttpResponse:
    """Show a rollout; a poll without news gets 304."""
    row = _find(rollout_id)
    news = mark(request, [row.moves, row.cancelling])
    if request.headers.get("HX-PTag") == news:
        return HttpResponse(status=304)
    context = {
        "row": row,
        "active": row.state in ROLLOUT_ACTIVE,
        "asks": row.paused_for in machine.ASKS,
        "rungs": ladder.rungs(row),
        "figures": [_figure(metric) for metric in row.metrics],
        "events": queries.events(row),
        "changes": _changes(row),
        "failed": queries.failed(row),
        "poll": request.get_full_path(),
        "mark": news,
    }
    part = "_rollout" if request.headers.get("HX-Request") else "rollout"
    page = render(request, f"releases/{part}.html", context)
    page["HX-PTag"] = news
    return page


@dataclass(frozen=True)
class Changed:
    """A document that the candidate holds in another version; `href` leads to the comparison where there is one."""

    kind: str
    name: str
    before: int | None
    after: int | None
    href: str


def _changes(row: Rollout) -> list[Changed]:
    if row.from_release is None:
        return []
    found = resolve.differences(row.from_release.manifest, row.to_release.manifest)
    return [Changed(each.kind, each.name, each.before, each.after, _comparison(each)) for each in found]


def _comparison(each: resolve.Difference) -> str:
    route = {"Workflow": "workflow-diff", "Prompt": "prompt-diff"}.get(each.kind)
    if route is None or each.before is None or each.after is None or "@" in each.name:
        return ""
    return reverse(route, args=[each.name, each.before, each.after])


def mark(request: HttpRequest, parts: list[Any]) -> str:
    """Name what an answer shows: another after any change of it, and by the minute."""
    text = f"{parts} {int(timezone.now().timestamp()) // 60} {request.get_full_path()}"
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=9).hexdigest()


def _find(rollout_id: int) -> Rollout:
    try:
        return rollouts.get(rollout_id)
    except UnknownObject as problem:
        raise Http404(problem.message) from problem


def _figure(metric: dict[str, Any]) -> Figure:
    name = metric["name"]
    [(kind, limit)] = metric["threshold"].items()
    shown = _value(name, limit)
    if kind == "max_increase":
        shown = f"{limit * 100:.3g} points"
    elif kind.endswith("ratio"):
        shown = f"{limit:g}"
    return Figure(
        name=name,
        limit=_LIMITS[kind].format(shown),
        stable=_value(name, metric["stable"]),
        candidate=_value(name, metric["candidate"]),
        n_stable=metric["n_stable"],
        n=metric["n"],
        interval=_interval(name, metric),
        verdict=metric["verdict"],
        words=metric["words"],
        dry_run=metric["dry_run"],
    )


def _value(name: str, value: float | None) -> str:
    """Write a figure of a metric in its own unit."""
    if value is None:
        return formats.UNKNOWN
    if name == "latency_p95":
        return formats.duration(value)
    return f"${value:.3g}" if name == "cost_per_run" else f"{value * 100:.3g} %"


def _interval(name: str, metric: dict[str, Any]) -> str:
    """Write where the candidate's value, the increase, the ratio or the slower share lies."""
    if metric["interval"] is None:
        return formats.UNKNOWN
    of = metric["interval_of"]
    low, high = metric["interval"]
    if of == "increase":
        return f"{low * 100:+.1f} to {high * 100:+.1f} points".replace("-", "\N{MINUS SIGN}")
    if of == "ratio":
        return f"{low:.2f} to {high:.2f} ×" if high is not None else f"{low:.2f} × or more"
    unit = "failure_rate" if of == "slower_share" else name
    told = f"{_value(unit, low)} to {_value(unit, high)}"
    return f"{told} slower" if of == "slower_share" else told


def _act(
    part: str, permission: str, title: str, said: str, move: Callable[[HttpRequest, int], object]
) -> Callable[[HttpRequest, int], HttpResponse]:
    """Make the view that asks first and then moves a rollout."""

    @requires(permission)
    def view(request: HttpRequest, rollout_id: int) -> HttpResponse:
        row = _find(rollout_id)
        context: dict[str, Any] = {
            "row": row,
            "title": f"{title} rollout {row.pk}",
            "in_flight": queries.in_flight(row),
            "reason": request.POST.get("reason", ""),
            "next": _next(row),
        }
        if request.method != "POST":
            return _ask(request, part, context)
        try:
            move(request, rollout_id)
        except WorkflowError as problem:
            return _ask(request, part, {**context, "problem": problem.message}, status=409)
        messages.success(request, said.format(row.pk))
        return answer(request, reverse("rollout", args=[row.pk]))

    return view


def _next(row: Rollout) -> str:
    """Say in words what comes after the step that it stands in."""
    left = [rung.words for rung in ladder.rungs(row)[max(row.step, -1) + 1 :]]
    return left[0] if left else ""


def _ask(request: HttpRequest, part: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    template = part if request.headers.get("HX-Request") else "releases/ask.html"
    return render(request, template, {"part": part, **context}, status=status)


def _given(request: HttpRequest) -> dict[str, Any]:
    reason = request.POST.get("reason", "").strip()
    return {"actor": actor_of(request), "reason": reason, "now": timezone.now()}


def _promoted(request: HttpRequest, rollout_id: int) -> object:
    seen = request.POST.get("step", "")
    step = int(seen) if re.fullmatch(r"-?\d{1,4}", seen) else None
    return rollouts.promote(rollout_id, fully="fully" in request.POST, step=step, **_given(request))


def _paused(request: HttpRequest, rollout_id: int) -> object:
    return rollouts.pause(rollout_id, **_given(request))


def _resumed(request: HttpRequest, rollout_id: int) -> object:
    return rollouts.resume(rollout_id, **_given(request))


def _aborted(request: HttpRequest, rollout_id: int) -> object:
    in_flight: rollouts.InFlight = "cancel" if request.POST.get("in_flight") == "cancel" else "finish"
    return rollouts.abort(rollout_id, in_flight=in_flight, **_given(request))


promote = _act("releases/_promote.html", "releases.deploy", "Promote", "Rollout {} goes on.", _promoted)
pause = _act("releases/_pause.html", "rollouts.stop", "Pause", "Rollout {} is paused.", _paused)
resume = _act("releases/_resume.html", "releases.deploy", "Resume", "Rollout {} goes on.", _resumed)
abort = _act("releases/_abort.html", "rollouts.stop", "Abort", "Rollout {} is aborted.", _aborted)


@requires("releases.deploy")
def deploy(request: HttpRequest) -> HttpResponse:
    """Ask which release new runs get, and begin it."""
    sent = request.POST if request.method == "POST" else request.GET
    workflow, environment = sent.get("workflow", "")[:63], sent.get("environment", "")[:63]
    numbers = Release.objects.filter(workflow=workflow.replace("\0", "")).order_by("-number")
    releases = list(numbers.values_list("number", flat=True)[:50])
    context: dict[str, Any] = {
        "title": f"Deploy {workflow}",
        "workflow": workflow,
        "environment": environment,
        "releases": releases,
        "chosen": sent.get("release") or (str(releases[0]) if releases else ""),
        "steps": environments.rollout_of(environment.replace("\0", "")),
        "reason": sent.get("reason", ""),
    }
    if request.method != "POST":
        return _ask(request, "releases/_deploy.html", context)
    try:
        begun = rollouts.deploy(
            _asked(request, workflow, environment), actor=actor_of(request), now=timezone.now()
        )
    except WorkflowError as problem:
        return _ask(request, "releases/_deploy.html", {**context, "problem": problem.message}, status=409)
    messages.success(request, f"Release {context['chosen']} of {workflow} is on its way to {environment}.")
    where = reverse("rollout", args=[begun.pk]) if begun else reverse("releases")
    return answer(request, where)


def _asked(request: HttpRequest, workflow: str, environment: str) -> rollouts.Ask:
    given = request.POST.get("release", "")
    return rollouts.Ask(
        workflow=workflow,
        environment=environment,
        release=int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0,
        strategy="rollout" if request.POST.get("strategy") == "rollout" else "now",
        reason=request.POST.get("reason", "").strip(),
        supersede="supersede" in request.POST,
    )
