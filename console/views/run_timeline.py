"""The timeline of a run's page: which rows, on which axis, and what more of a long one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from console import formats
from console.access import requires
from console.drawing import critical_path, looks, minimap, scale, timeline, waterfall
from console.drawing.critical_path import Stretch
from console.drawing.timeline import Answer
from console.forms import run_view
from console.forms.run_view import Asked
from console.views import run_summary
from console.views.run_find import find
from console.views.step import SETTLED
from workflows.models import Call, Run
from workflows.queries import run_page, settlements
from workflows.queries.run_page import Definition, StepView
from workflows.queries.settlements import Settlement
from workflows.queries.step_rows import steps_of


def drawn(
    run: Run,
    steps: Sequence[StepView],
    calls: Sequence[Call],
    want: Asked,
    now: datetime,
    *,
    settled: Mapping[str, Sequence[Settlement]],
) -> dict[str, Any]:
    """Draw the timeline."""
    laid = layout(run, steps, calls, want, now, settled=settled)
    counts = Counter(each.kind for each in steps)
    first = run_summary.first_to_look_at(run, steps)
    shown = waterfall.Shown(
        selected=want.step or (first.path if first else ""), more=_more(run, want), critical=laid.critical
    )
    window = laid.window
    return {
        "rows": waterfall.rows_html(laid.rows, laid.axis, shown),
        "row_count": len(laid.rows),
        "step_count": len(steps),
        "axis": waterfall.axis(laid.axis),
        "grid": waterfall.grid(laid.axis),
        "overview": minimap.draw(laid.all_rows, laid.whole, window),
        "zoom": f"{formats.duration(window[0])} – {formats.duration(window[1])}" if window else "",
        "unzoomed": want.address(**{"from": None, "to": None}),
        "unfiltered": want.tab_address(""),
        "folded": bool(laid.axis.folds) or not want.fold,
        "want": want,
        "kinds": [
            {"kind": kind, "look": looks.kind_look(kind), "count": count, "on": kind in want.kinds}
            for kind, count in counts.most_common()
        ],
    }


class Layout:
    """The rows that the address asks for, their axis, and the axis of the whole run."""

    def __init__(
        self, run: Run, steps: Sequence[StepView], want: Asked, now: datetime, definition: Definition | None
    ) -> None:
        self.run, self.steps, self.want, self.definition = run, steps, want, definition
        self.end = run.ended_at or now
        self.length_s = max((self.end - run.created_at).total_seconds(), 0.001)
        busy = timeline.busy(steps, begun=run.created_at, now=self.end) if want.fold else []
        self.whole = scale.build(self.length_s, scale.idle(busy, length_s=self.length_s) if busy else ())
        self.window = scale.window(want.low_s, want.high_s, length_s=self.length_s)
        self.axis = self.whole
        if self.window:
            low, high = self.window
            folds = scale.idle(busy, length_s=high - low, start_s=low) if busy else ()
            self.axis = scale.build(high - low, folds, start_s=low)
        self.critical: frozenset[str] | None = None
        self.all_rows: Sequence[timeline.Row] = ()
        self.rows: Sequence[timeline.Row] = ()

    def lay(self, notes: Mapping[int, str], answers: Mapping[str, Answer]) -> Layout:
        """Build the rows and leave out what the address does not ask for."""
        want = self.want
        self.all_rows = timeline.build(
            self.steps,
            begun=self.run.created_at,
            now=self.end,
            notes=notes,
            answers=answers,
            open_keys=want.open,
        )
        if want.critical:
            self.critical = self._critical()
        rows: Sequence[timeline.Row] = self.all_rows
        if want.filtered:
            rows = [row._replace(hidden=False) for row in rows if _wanted(row, want)]
        elif want.step:
            rows = timeline.reveal(rows, want.step, want.open)
        if self.window:
            low, high = self.window
            rows = [row for row in rows if row.path == want.step or _overlaps(row, low, high)]
        self.rows = rows
        return self

    def _critical(self) -> frozenset[str]:
        """Return the keys of the rows on the critical path, and of those that hold them."""
        begun = self.run.created_at
        stretches = [
            Stretch(
                step.id,
                step.step_id,
                step.parent_id,
                step.item,
                (step.started_at - begun).total_seconds(),
                ((step.ended_at or self.end) - begun).total_seconds(),
            )
            for step in self.steps
            if step.started_at is not None
        ]
        needs = self.definition.needs if self.definition else {}
        keys = {f"s{number}" for number in critical_path.find(stretches, needs)}
        for row in reversed(self.all_rows):
            if row.key in keys and row.parent:
                keys.add(row.parent)
        return frozenset(keys)


def layout(
    run: Run,
    steps: Sequence[StepView],
    calls: Sequence[Call],
    want: Asked,
    now: datetime,
    *,
    settled: Mapping[str, Sequence[Settlement]],
) -> Layout:
    """Return the rows that the address asks for, and their time axis."""
    definition = run_page.definition_of(run)
    answers = {
        path: Answer(told[-1].at, f"{told[-1].by} {SETTLED.get(told[-1].action, 'settled it')}")
        for path, told in settled.items()
    }
    return Layout(run, steps, want, now, definition).lay(_notes(steps, calls, definition), answers)


def _overlaps(row: timeline.Row, low: float, high: float) -> bool:
    return row.start is not None and row.end is not None and row.end >= low and row.start <= high


def _wanted(row: timeline.Row, want: Asked) -> bool:
    if not row.path or (want.kinds and row.kind not in want.kinds):
        return False
    if want.errors and not (row.failures or row.losses or row.state in {"failed", "unknown"}):
        return False
    return want.text in f"{row.path} {row.name} {row.note}".lower()


def _more(run: Run, want: Asked) -> str:
    """Write the address of further rows: what decides which there are, and in which order."""
    kept = [
        (name, value)
        for name in ("q", "errors", "fold", "critical", "from", "to", "kind", "open", "step")
        for value in want.kept.getlist(name)
    ]
    return f"/runs/{run.id}/rows/?{urlencode(kept)}&"


@requires("runs.view")
def rows(request: HttpRequest, run_id: str) -> HttpResponse:
    """Give further rows of a long timeline."""
    run, want, now = find(run_id), run_view.read(request, ()), timezone.now()
    settled = settlements.of_run(run.id)
    steps = settlements.apart(steps_of(run.id), settled)
    laid = layout(run, steps, run_page.calls_of(run.id), want, now, settled=settled)
    low, high = (
        min(run_view.whole(request.GET.get(name)) or 0, len(laid.rows)) for name in ("start", "stop")
    )
    shown = waterfall.Shown(selected=want.step, critical=laid.critical)
    part = waterfall.rows_html(laid.rows, laid.axis, shown, start=low, stop=max(high, low + 1))
    return HttpResponse(part, headers={"Cache-Control": "no-store"})


def _notes(
    steps: Sequence[StepView], calls: Sequence[Call], definition: Definition | None
) -> Mapping[int, str]:
    """Say beside each step what it used: prompt and model, corpus, tool."""
    uses = definition.uses if definition else {}
    models = {call.step_run_id: call.model_returned or call.model_requested for call in calls}
    return {
        each.id: " · ".join(part for part in (uses.get(each.step_id, ""), models.get(each.id, "")) if part)
        for each in steps
    }
