"""A run from its record: does it replay alike, and what was its state at any event."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console.access import requires
from console.drawing import json_text
from console.views.payload import block_of
from console.views.run_find import find
from console.views.run_title import title_of
from workflows import payloads, states
from workflows.models import Run
from workflows.replay import record, verify
from workflows.replay.compare import Divergence
from workflows.replay.rebuilt import Rebuilt, Step
from workflows.replay.record import Event
from workflows.replay.verify import Replay
from workflows.replay.walk import Walk

_STEPS: Final = 300
_DIVERGENCES: Final = 20
VERDICTS: Final = {
    "identical": ("ok", "circle-check", "Identical"),
    "diverged": ("bad", "octagon-alert", "It comes out differently now"),
    "incomplete": ("wait", "info", "The record is not complete"),
}


@requires("runs.view")
def replay(request: HttpRequest, run_id: str) -> HttpResponse:
    """Show the verdict, and the state of the run as of the event that is asked for."""
    run = find(run_id)
    context: dict[str, Any] = {"run": run, "title": title_of(run), "verdict": _verdict(run)}
    with contextlib.suppress(record.NotKept, payloads.PayloadMissing):  # the verdict says so
        kept = record.of_run(run)
        at = _event(kept.events, request.GET.get("event", ""), request.GET.get("nth", ""))
        context |= _as_of(run, Walk(kept).to(kept.events[at].seq), kept.events, at)
    return render(request, "replay/page.html", context)


def _event(events: Sequence[Event], asked: str, nth: str) -> int:
    """Return the position of an event by its `seq`, or as the page counts; nothing asked, or not there: the last."""
    if nth.isdigit() and nth.isascii():
        return min(max(int(nth[:9]), 1), len(events)) - 1
    if not asked.isdigit():
        return len(events) - 1
    found = [number for number, event in enumerate(events) if event.seq <= int(asked[:18])]
    return found[-1] if found else 0


def _verdict(run: Run) -> dict[str, Any] | None:
    """Replay a run that has ended; None: it goes on."""
    if run.state not in states.RUN_ENDED:
        return None
    found = verify.replay(run.pk)
    tone, icon, words = VERDICTS[found.verdict]
    every = list(found.all_of())
    told = [{"run": each.run, **_told(one)} for each in every for one in each.divergences]
    return {
        "tone": tone,
        "icon": icon,
        "words": words,
        "checked": sum(each.checked for each in every),
        "engine": found.engine,
        "children": len(every) - 1,
        "divergences": told[:_DIVERGENCES],
        "more": max(len(told) - _DIVERGENCES, 0),
        "missing": _missing(every),
    }


def _missing(every: Sequence[Replay]) -> list[str]:
    return [f"{each.run}: {what}" for each in every for what in each.missing][:_DIVERGENCES]


def _told(found: Divergence) -> dict[str, Any]:
    return {
        "path": found.path,
        "what": found.what,
        "explanation": found.explanation,
        "at": found.at,
        "template": found.template,
        "recorded": json_text.highlight(json_text.serialise(json_text.without_bulk(found.recorded))),
        "replayed": json_text.highlight(json_text.serialise(json_text.without_bulk(found.replayed))),
        "seq": found.seq,
    }


def _as_of(run: Run, rebuilt: Rebuilt, events: Sequence[Event], number: int) -> dict[str, Any]:
    event = events[number]
    steps = [step for step in rebuilt.steps.values() if step.state != "pending"]
    shown = sorted(steps, key=lambda step: (-step.changed_by, step.ordinal))[:_STEPS]
    return {
        "event": event,
        "number": number + 1,
        "count": len(events),
        "first": events[0].seq,
        "earlier": events[number - 1].seq if number else None,
        "later": events[number + 1].seq if number + 1 < len(events) else None,
        "last": events[-1].seq,
        "rebuilt": rebuilt,
        "rows": [_row(run, step, event) for step in shown],
        "not_begun": sum(step.state == "pending" for step in rebuilt.steps.values()),
        "more_steps": max(len(steps) - _STEPS, 0),
        "data": json_text.highlight(json_text.serialise(event.data)) if event.data else "",
    }


def _row(run: Run, step: Step, event: Event) -> dict[str, Any]:
    return {
        "step": step,
        "changed": step.changed_by == event.seq,
        "attempts": len(step.attempts),
        "output": block_of(run.id, bytes.fromhex(step.output) if step.output else None),
    }
