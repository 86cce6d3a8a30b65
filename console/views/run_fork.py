"""Fork a run: choose where it begins and what is different, see what it will do, and land in the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console.access import requires
from console.actors import actor_of
from console.drawing import json_text
from console.forms import fork_form
from console.forms.fork_form import ForkForm
from console.views import fork_graph, fork_parts
from console.views.run_find import find
from console.views.run_title import title_of
from workflows import states
from workflows.errors import WorkflowError
from workflows.models import Run
from workflows.queries import run_page
from workflows.queries.step_rows import StepView, steps_of
from workflows.recovery.previewing import Estimate
from workflows.replay import forking

_STEPS: Final = 1000


@requires("runs.start")
def fork(request: HttpRequest, run_id: str) -> HttpResponse:
    """Show the form, or fork and lead to the comparison with the run that it came from."""
    run = find(run_id)
    if request.headers.get("HX-Request") and request.method == "GET":
        would = _would(run, request.GET.get("from_step", ""), _begun(run))
        return render(request, "replay/_estimate.html", {"run": run, **would})
    if request.method != "POST":
        return _show(request, run, fork_form.read({"from_step": request.GET.get("step", "")}))
    form = fork_form.read({key: value for key, value in request.POST.items() if isinstance(value, str)})
    if form.ask is None:
        return _show(request, run, form, status=422)
    try:
        made = forking.fork(
            run.pk, form.ask, actor=actor_of(request), reason=form.typed.get("reason", "").strip()[:1000]
        )
    except WorkflowError as problem:
        told = [problem.message, *(f"{path}: {message}" for path, message in problem.errors)]
        return _show(request, run, form, told=told, status=409)
    return HttpResponseRedirect(f"{reverse('run-compare')}?{urlencode({'a': run.pk, 'b': made.pk})}")


def _show(
    request: HttpRequest, run: Run, form: ForkForm, *, told: Sequence[str] = (), status: int = 200
) -> HttpResponse:
    steps = _begun(run)
    chosen = form.typed.get("from_step", "")
    context: dict[str, Any] = {
        "run": run,
        "title": title_of(run),
        "ended": run.state in states.RUN_ENDED,
        "form": form,
        "told": told,
        "steps": steps[:_STEPS],
        "chosen": chosen,
        "input": json_text.serialise(run_page.value_of(run.input_hash).value),
        **_would(run, chosen, steps),
        **fork_parts.of(run, form.typed),
    }
    return render(request, "replay/fork.html", context, status=status)


def _begun(run: Run) -> list[StepView]:
    return [step for step in steps_of(run.id) if step.started_at is not None]


def _would(run: Run, chosen: str, steps: Sequence[StepView]) -> dict[str, Any]:
    """Say what a fork from a step would do: figures, and the graph."""
    estimate = _estimate(run, chosen)
    return {"estimate": estimate, "drawn": fork_graph.draw(run, steps, estimate, first=chosen)}


def _estimate(run: Run, chosen: str) -> Estimate | None:
    """Say what would run again; None: from there it cannot be forked, which is told when it is tried."""
    try:
        return forking.estimate(run.pk, chosen or None)
    except (WorkflowError, LookupError):
        return None
