"""The page of one run: its head and its tabs. What a step did in detail: step.py; each tab: run_timeline, run_tabs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone

from console.access import requires
from console.forms import run_filter, run_view
from console.forms.run_view import Asked
from console.views import pause_notice, run_graph, run_summary, run_tabs, run_timeline, step
from console.views.run_find import find, not_there
from console.views.run_title import title_of
from workflows import quarantine, retained, runs, states
from workflows.models import Call, Run
from workflows.queries import run_list, run_page, settlements
from workflows.queries.run_matching import RunFilter
from workflows.queries.run_page import Standing, StepView
from workflows.queries.settlements import Settlement
from workflows.queries.step_rows import steps_of

__all__ = ["detail", "find"]

_WORKER_ALIVE: Final = timedelta(seconds=60)
# A running bar grows: so often a page that is looked at draws it anew, although nothing has happened.
_BEAT_S: Final = 2
# What no event tells of a run that stands still: that it is stuck, that no worker is there, that all is paused.
_SLOW_BEAT_S: Final = 15
TABS: Final = (
    ("", "Timeline"),
    ("graph", "Graph"),
    ("events", "Events"),
    ("documents", "Documents"),
    ("memory", "Memory"),
    ("decisions", "Decisions"),
    ("io", "Input & output"),
    ("cost", "Cost"),
)


@requires("runs.view")
def detail(request: HttpRequest, run_id: str) -> HttpResponse:
    """Show a run; a poll whose answer is still right gets 304."""
    now, standing = timezone.now(), run_page.standing_of(run_id)
    if standing is None:
        raise not_there(run_id)
    mark = _mark(request, standing, now)
    if request.headers.get("HX-PTag") == mark:
        return HttpResponse(status=304)
    run = find(run_id)
    want = run_view.read(request, tuple(key for key, _ in TABS))
    settled = settlements.of_run(run.id)
    steps, calls = settlements.apart(steps_of(run.id), settled), run_page.calls_of(run.id)
    if not steps:
        find(run_id)  # deleted just now: a page that is open keeps what it shows
    context = {
        **_head(run, steps, calls, want, now),
        **_list(run, want, now),
        "mark": mark,
        "standing": standing,
        "poll": request.get_full_path() if run.state not in states.RUN_ENDED else "",
        **_tab(run, steps, calls, want, now, settled),
        **_attention(run, steps, standing, want, now),
    }
    is_poll = bool(request.headers.get("HX-Request"))
    shows_step = not want.tab or (want.tab == "graph" and want.step)
    if not is_poll and shows_step and context["selected"]:
        chosen = context["selected"]
        context |= step.inspector(
            run, steps, chosen, attempt=want.attempt, settled=settled.get(chosen.path, ())
        )
    answer = render(request, "run/_run.html" if is_poll else "run/page.html", context)
    answer["HX-PTag"] = mark
    return answer


def _mark(request: HttpRequest, standing: Standing, now: datetime) -> str:
    """Name what an answer shows."""
    every_s = (
        0 if standing.state in states.RUN_ENDED else _BEAT_S if standing.state == "running" else _SLOW_BEAT_S
    )
    beat = int(now.timestamp()) // every_s if every_s else 0
    path = request.get_full_path().encode("utf-8", "replace").hex()[-40:]
    state = f"{standing.state}-{standing.stopping}"
    return f"{standing.seq}-{standing.calls}-{standing.said}-{state}-{beat}-{hash(path) & 0xFFFFFFFF:x}"


def _head(
    run: Run, steps: Sequence[StepView], calls: Sequence[Call], want: Asked, now: datetime
) -> dict[str, Any]:
    chosen = next((s for s in steps if s.path == want.step), None) or run_summary.first_to_look_at(run, steps)
    return {
        "run": run,
        "title": title_of(run),
        "active": run.state not in states.RUN_ENDED,
        "has_signals": run.state not in states.RUN_ENDED and _takes_signals(run),
        "figures": run_summary.figures(run, steps, calls, now=now),
        "selected": chosen,
        "missing_step": bool(want.step) and not any(s.path == want.step for s in steps),
        "explicit": bool(want.step),
        "tab": want.tab,
        "want": want,
        "tabs": _tabs(run, steps, want),
        "snapshots": run.pins,
        "archived": retained.archived(run) if run.archived_at else "",
        "taints": quarantine.tainted([run.id]).get(run.id, ()),
    }


def _takes_signals(run: Run) -> bool:
    """Say whether the definition waits for signals; a damaged release must not take the page with it."""
    try:
        return bool(runs.signals_of(run))
    except LookupError:
        return False


def _attention(
    run: Run, steps: Sequence[StepView], standing: Standing, want: Asked, now: datetime
) -> dict[str, Any]:
    """Say how the run is shown, and what needs to be known or done first."""
    alive_since, active = now - _WORKER_ALIVE, run.state not in states.RUN_ENDED
    held = run_page.held(run.id) if run.state == "paused" else None
    queue = None
    if run.state == "queued" or run_summary.nothing_moves(run, steps):
        queue = run_page.queue_of(run, alive_since=alive_since)
    stuck = run_summary.stuck_since(run, steps, standing, now=now) if queue and queue.workers else None
    return {
        "notice": pause_notice.notice(workflow=run.workflow, environment=run.environment_id)
        if active
        else None,
        "shown_state": "stuck" if stuck else run_summary.shown_state(run, steps),
        "alert": (told := run_summary.alert(run, steps, queue=queue, stuck=stuck, held=held, now=now)),
        "alert_address": want.address(step=told.step, attempt=None, tab=None) if told else "",
        "primary": run_summary.primary_action(run, steps),
    }


def _list(run: Run, want: Asked, now: datetime) -> dict[str, Any]:
    """Say which list somebody came from, and which runs stand beside this one in it.

    The list without any filter adds nothing to the addresses of its runs: its neighbours are those of all runs.
    """
    origin = want.origin.lstrip("?")
    chosen = run_filter.parse(QueryDict(origin)).filter(now) if origin else RunFilter()
    newer, older = run_list.neighbours(chosen, run)
    return {"origin": origin, "newer": newer, "older": older}


def _tabs(run: Run, steps: Sequence[StepView], want: Asked) -> list[dict[str, Any]]:
    searches = sum(step.kind == "retrieve" and step.state == "succeeded" for step in steps)
    decisions = sum(step.kind == "branch" and step.started_at is not None for step in steps)
    counts = {
        "events": run_page.counts_of(run.id)["events"],
        "documents": searches,
        "memory": sum(step.kind == "memory" and step.state == "succeeded" for step in steps),
        "decisions": decisions,
    }
    return [
        {
            "label": label,
            "address": want.tab_address(key),
            "current": key == want.tab,
            "count": f"{counts[key]:,}" if counts.get(key) else "",
        }
        for key, label in TABS
        if counts.get(key, 1) or key == "events" or key == want.tab
    ]


def _tab(
    run: Run,
    steps: Sequence[StepView],
    calls: Sequence[Call],
    want: Asked,
    now: datetime,
    settled: Mapping[str, Sequence[Settlement]],
) -> dict[str, Any]:
    if want.tab == "graph":
        return run_graph.context(run, steps, selected=want.step, now=run.ended_at or now)
    if want.tab == "events":
        return run_tabs.events_tab(run, want)
    if want.tab == "documents":
        return run_tabs.documents_tab(steps, want)
    if want.tab == "memory":
        return run_tabs.memory_tab(run, steps)
    if want.tab == "decisions":
        return run_tabs.decisions_tab(run, steps)
    if want.tab == "io":
        return run_tabs.io_tab(run)
    if want.tab == "cost":
        return {"costs": run_tabs.costs(steps, calls)}
    return run_timeline.drawn(run, steps, calls, want, now, settled=settled)
