"""The page of one run: its head and its tabs. What a step did in detail: step.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from console import formats
from console.access import requires
from console.drawing import events, looks, scale, timeline, waterfall
from console.views import run_summary, step
from workflows import states
from workflows.models import Call, Run, Worker
from workflows.queries import run_list, run_page
from workflows.queries.run_page import StepView

_WORKER_ALIVE: Final = timedelta(seconds=60)
_EVENTS: Final = 500
TABS: Final = (
    ("", "Timeline"),
    ("events", "Events"),
    ("documents", "Documents"),
    ("io", "Input & output"),
    ("cost", "Cost"),
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the address of a run's page asks for."""

    tab: str
    step: str
    attempt: str
    text: str
    kinds: tuple[str, ...]
    errors: bool
    fold: bool


def asked(request: HttpRequest) -> Asked:
    """Read the address; unknown values fall away."""
    get = request.GET
    return Asked(
        tab=get.get("tab", "") if get.get("tab", "") in dict(TABS) else "",
        step=get.get("step", ""),
        attempt=get.get("attempt", ""),
        text=get.get("q", "").strip().lower(),
        kinds=tuple(kind for kind in get.getlist("kind") if kind in looks.KINDS),
        errors=bool(get.get("errors")),
        fold=get.get("fold", "1") != "0",
    )


def find(run_id: str) -> Run:
    """Return a run with its release, or answer that there is none."""
    run = Run.objects.select_related("release").filter(id=run_id.replace("\0", "")).first()
    if run is None:
        raise Http404(f"There is no run {formats.printable(run_id)}.")
    return run


@requires("runs.view")
def detail(request: HttpRequest, run_id: str) -> HttpResponse:
    """Show a run; a poll whose answer is still right gets 304."""
    run, want, now = find(run_id), asked(request), timezone.now()
    mark = _mark(request, run, now)
    if request.headers.get("HX-PTag") == mark:
        return HttpResponse(status=304)
    steps = run_page.steps_of(run.id)
    calls = run_page.calls_of(run.id)
    context = {
        **_head(run, steps, calls, want, now),
        "mark": mark,
        "poll": request.get_full_path() if run.state not in states.RUN_ENDED else "",
        **_tab(run, steps, calls, want, now),
    }
    is_poll = bool(request.headers.get("HX-Request"))
    if not is_poll and not want.tab and context["selected"]:
        context |= step.inspector(run, steps, context["selected"], attempt=want.attempt)
    answer = render(request, "run/_run.html" if is_poll else "run/page.html", context)
    answer["HX-PTag"] = mark
    return answer


def _mark(request: HttpRequest, run: Run, now: datetime) -> str:
    """Name what an answer shows. A running bar grows: each two seconds are another answer."""
    seq, calls = run_page.mark_of(run.id)
    beat = int(now.timestamp()) // 2 if run.state == "running" else 0
    path = request.get_full_path().encode("utf-8", "replace").hex()[-40:]
    return f"{seq}-{calls}-{run.state}-{run.stopping}-{beat}-{hash(path) & 0xFFFFFFFF:x}"


def _head(
    run: Run, steps: Sequence[StepView], calls: Sequence[Call], want: Asked, now: datetime
) -> dict[str, Any]:
    alive = Worker.objects.filter(seen_at__gte=now - _WORKER_ALIVE).count() if run.state == "queued" else 1
    chosen = next((s for s in steps if s.path == want.step), None) or run_summary.first_to_look_at(run, steps)
    return {
        "run": run,
        "title": run_list.titles([run])[run.id],
        "shown_state": _shown(run, steps),
        "active": run.state not in states.RUN_ENDED,
        "figures": run_summary.figures(run, steps, calls, now=now),
        "alert": run_summary.alert(run, steps, workers=alive),
        "selected": chosen,
        "missing_step": bool(want.step) and not any(s.path == want.step for s in steps),
        "explicit": bool(want.step),
        "tab": want.tab,
        "tabs": _tabs(run, steps, want),
        "snapshots": run.pins,
    }


def _shown(run: Run, steps: Sequence[StepView]) -> str:
    if run.state in states.RUN_ENDED:
        return run.state
    shown = {step.shown_state for step in steps}
    if "unknown" in shown:
        return "unknown"
    return "retrying" if "retrying" in shown and "running" not in shown else run.state


def _tabs(run: Run, steps: Sequence[StepView], want: Asked) -> list[dict[str, Any]]:
    searches = sum(step.kind == "retrieve" and step.state == "succeeded" for step in steps)
    counts = {
        "events": f"{run_page.counts_of(run.id)['events']:,}",
        "documents": str(searches) if searches else "",
    }
    return [
        {
            "label": label,
            "address": "?" + urlencode({"tab": key}) if key else "?",
            "current": key == want.tab,
            "count": counts.get(key, ""),
        }
        for key, label in TABS
        if key != "documents" or searches
    ]


def _tab(
    run: Run, steps: Sequence[StepView], calls: Sequence[Call], want: Asked, now: datetime
) -> dict[str, Any]:
    if want.tab == "events":
        found = run_page.events_of(run.id, limit=_EVENTS + 1)
        return {
            "event_rows": events.rows_html(found[:_EVENTS], begun=run.created_at),
            "more_events": len(found) > _EVENTS,
            "last_event": found[_EVENTS - 1].seq if len(found) > _EVENTS else 0,
        }
    if want.tab == "documents":
        return {"searches": _searches(run, steps)}
    if want.tab == "io":
        return {
            "input": step.block(run_page.value_of(run.input_hash), run.id, run.input_hash),
            "output": step.block(run_page.value_of(run.output_hash), run.id, run.output_hash),
        }
    if want.tab == "cost":
        return {"costs": _costs(steps, calls)}
    return drawn(run, steps, calls, want, now)


def drawn(
    run: Run, steps: Sequence[StepView], calls: Sequence[Call], want: Asked, now: datetime
) -> dict[str, Any]:
    """Draw the timeline."""
    rows, axis = layout(run, steps, calls, want, now)
    counts: dict[str, int] = defaultdict(int)
    for each in steps:
        counts[each.kind] += 1
    selected = want.step or getattr(run_summary.first_to_look_at(run, steps), "path", "")
    return {
        "rows": waterfall.rows_html(rows, axis, selected=selected, more=_more(run, want)),
        "row_count": len(rows),
        "step_count": len(steps),
        "axis": waterfall.axis(axis),
        "grid": waterfall.grid(axis),
        "overview": waterfall.overview(rows, axis),
        "folded": bool(axis.folds) or not want.fold,
        "want": want,
        "kinds": [
            {"kind": kind, "look": looks.kind_look(kind), "count": count, "on": kind in want.kinds}
            for kind, count in sorted(counts.items(), key=lambda each: -each[1])
        ],
    }


def layout(
    run: Run, steps: Sequence[StepView], calls: Sequence[Call], want: Asked, now: datetime
) -> tuple[Sequence[timeline.Row], scale.Scale]:
    """Return the rows that the address asks for, and their time axis."""
    end = run.ended_at or now
    all_rows = timeline.build(steps, begun=run.created_at, now=end, notes=_notes(run, steps, calls))
    length = max((end - run.created_at).total_seconds(), 0.001)
    folds = (
        scale.idle(timeline.busy(steps, begun=run.created_at, now=end), length_s=length) if want.fold else ()
    )
    axis = scale.build(length, folds)
    if want.text or want.kinds or want.errors:
        return [replace(row, hidden=False) for row in all_rows if _wanted(row, want)], axis
    return timeline.reveal(all_rows, want.step) if want.step else all_rows, axis


def _wanted(row: timeline.Row, want: Asked) -> bool:
    if not row.path or (want.kinds and row.kind not in want.kinds):
        return False
    if want.errors and not (row.failures or row.losses or row.state in {"failed", "unknown"}):
        return False
    return want.text in f"{row.path} {row.name} {row.note}".lower()


def _more(run: Run, want: Asked) -> str:
    filters = [("q", want.text), ("errors", "1" if want.errors else ""), ("fold", "" if want.fold else "0")]
    kept = [(key, value) for key, value in filters if value] + [("kind", kind) for kind in want.kinds]
    return f"/runs/{run.id}/rows/?{urlencode([*kept, ('step', want.step)])}&"


@requires("runs.view")
def rows(request: HttpRequest, run_id: str) -> HttpResponse:
    """Give further rows of a long timeline."""
    run, want, now = find(run_id), asked(request), timezone.now()
    steps = run_page.steps_of(run.id)
    found, axis = layout(run, steps, run_page.calls_of(run.id), want, now)
    low = _whole(request.GET.get("from"), len(found))
    high = _whole(request.GET.get("to"), len(found))
    part = waterfall.rows_html(found, axis, selected=want.step, more="", start=low, stop=max(high, low + 1))
    return HttpResponse(part, headers={"Cache-Control": "no-store"})


def _whole(text: str | None, most: int) -> int:
    return min(int(text), most) if text and text.isascii() and text.isdigit() and len(text) < 9 else 0


def _notes(run: Run, steps: Sequence[StepView], calls: Sequence[Call]) -> Mapping[int, str]:
    """Say beside each step what it used: prompt and model, corpus, tool."""
    version = run_page.definition_of(run)
    documents = run_page.find_steps(version.body) if version else {}
    models = {call.step_run_id: call.model_returned or call.model_requested for call in calls}
    notes = {}
    for each in steps:
        document = documents.get(each.step_id, {})
        names = [
            str(document[key]) for key in ("prompt", "retrieve", "tool") if isinstance(document.get(key), str)
        ]
        notes[each.id] = " · ".join([*names, *([models[each.id]] if each.id in models else [])])
    return notes


def _searches(run: Run, steps: Sequence[StepView]) -> list[dict[str, Any]]:
    found = []
    for each in steps:
        if each.kind == "retrieve" and each.state == "succeeded":
            found.append({"step": each, **step.search_of(each)})
    return found


def _costs(steps: Sequence[StepView], calls: Sequence[Call]) -> list[dict[str, Any]]:
    """Sum the calls by step and model, the dearest first; unknown prices stay unknown."""
    paths = {each.id: each.path for each in steps}
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for call in calls:
        model = f"{call.provider}/{call.model_requested}"
        path = paths.get(call.step_run_id, "an earlier epoch")
        line = sums.setdefault(
            (path, model), {"path": path, "model": model, "calls": 0, "usage": defaultdict(int), "cost": None}
        )
        line["calls"] += 1
        for name in ("input", "cached", "output", "reasoning"):
            line["usage"][name] += (call.usage or {}).get(name) or 0
        if call.cost_usd is not None:
            line["cost"] = (line["cost"] or Decimal(0)) + call.cost_usd
    return sorted(sums.values(), key=lambda line: (line["cost"] is None, -(line["cost"] or 0), line["path"]))
