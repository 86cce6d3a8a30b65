"""A run taken elsewhere: as Markdown for a ticket, as JSON to keep. Reads only."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from console import formats
from console.access import requires
from console.drawing import run_markdown
from console.drawing.looks import state_look
from console.views import run_summary
from console.views.run_find import find
from console.views.run_title import title_of
from workflows import payloads
from workflows.queries import run_page, run_record
from workflows.queries.step_rows import StepView, steps_of


@requires("runs.view")
def markdown(request: HttpRequest, run_id: str) -> HttpResponse:
    """Give the whole run as text: steps, prompts, outputs, errors."""
    run = find(run_id)
    steps = steps_of(run.id)
    shown = [step for at, step in enumerate(steps) if at < run_markdown.STEPS or _went_wrong(step)]
    shown = shown[: 2 * run_markdown.STEPS]
    keys = [run.input_hash, run.output_hash, *(key for s in shown for key in (s.input_hash, s.output_hash))]
    values = payloads.kept(key for key in keys if key is not None)
    lasted = (run.ended_at - run.created_at).total_seconds() if run.ended_at else None
    head = {
        "Run": run.id,
        "Link": request.build_absolute_uri(reverse("run", args=[run.id])),
        "Workflow": f"{run.workflow}, release {run.release.number}, {run.environment_id}",
        "State": state_look(run_summary.shown_state(run, steps)).word,
        "Created": run_markdown.moment(run.created_at),
        "Ended": run_markdown.moment(run.ended_at),
        "Duration": formats.duration(lasted),
        "Cost": formats.money(run_summary.cost_of(run, run_page.calls_of(run.id))),
    }
    text = run_markdown.write(
        head,
        title=title_of(run),
        given=values.get(bytes(run.input_hash).hex()),
        gave=values.get(bytes(run.output_hash).hex()) if run.output_hash else None,
        error=run.error,
        steps=shown,
        values=values,
        left_out=len(steps) - len(shown),
    )
    return HttpResponse(
        text, content_type="text/markdown; charset=utf-8", headers={"Cache-Control": "no-store"}
    )


def _went_wrong(step: StepView) -> bool:
    return step.state in {"failed", "unknown"}


@requires("runs.view")
def record(request: HttpRequest, run_id: str) -> HttpResponse:
    """Give the whole record as a JSON file."""
    run = find(run_id)
    text = json.dumps(run_record.of_run(run), indent=2)
    answer = HttpResponse(text, content_type="application/json", headers={"Cache-Control": "no-store"})
    answer["Content-Disposition"] = f'attachment; filename="{run.id}.json"'
    return answer
