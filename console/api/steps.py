"""Step runs of a run with their attempts, and what a person decides about one of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from django.db.models import Count
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, pages, run_shape, shapes
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from workflows import payloads, recovery, runs
from workflows.models import Attempt, Call, StepRun

StepState = Literal[
    "pending", "ready", "running", "waiting", "succeeded", "failed", "unknown", "skipped", "cancelled"
]
AttemptState = Literal["running", "succeeded", "failed", "lost", "interrupted", "cancelled"]


class AttemptShape(TypedDict):
    """One try of a step run; `calls` counts its provider calls."""

    number: int
    state: AttemptState
    worker: str
    started_at: str | None
    ended_at: str | None
    error: shapes.StepError | None
    calls: int


class StepShape(TypedDict):
    """One step run. Steps that ran again have one for each epoch."""

    path: str
    kind: str
    state: StepState
    epoch: int
    input: Any
    output: Any
    error: shapes.StepError | None
    started_at: str | None
    ended_at: str | None
    cost_usd: str | None
    tokens: shapes.Tokens
    attempts: list[AttemptShape]


class StepPage(TypedDict):
    """Step runs, in the order in which they came to be."""

    results: list[StepShape]
    next: str | None


class Resolve(asking.Ask):
    """What became of a step that the system cannot decide about; `output` with `supply`."""

    action: Literal["supply", "skip", "retry", "fail"]
    reason: asking.LongText = Field(min_length=1)
    output: Any = None


class Steps(Endpoint):
    """`/runs/ID/steps`."""

    permission_classes = needs("runs.view")

    @operation(
        "List a run's step runs",
        query=asking.Paged,
        answers={200: answer(StepPage)},
        problems_too=[404, 410],
    )
    def get(self, request: Request, run_id: str) -> Response:
        """List step runs with their attempts, oldest first."""
        asked = asking.query(request, asking.Paged)
        run = runs.get(run_id)
        found = StepRun.objects.filter(run_id=run.id)
        page = pages.by_number(found, cursor=asked.cursor, limit=asked.limit, rising=True)
        fit = pages.fitting([(step.input_hash, step.output_hash) for step in page.rows])
        shown = page.rows[:fit]
        further = page.next if fit == len(page.rows) else pages.encode(shown[-1].pk)
        return Response({"results": _of_steps(shown, kept=run.archived_at is None), "next": further})


def _of_steps(steps: Sequence[StepRun], *, kept: bool) -> list[StepShape]:
    """Write steps; those of an archived run (`kept=False`) have no values."""
    keys = [key for step in steps for key in (step.input_hash, step.output_hash) if key]
    values = payloads.load(keys if kept else [])
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    ids = [step.pk for step in steps]
    for attempt in Attempt.objects.filter(step_run_id__in=ids).order_by("step_run_id", "number"):
        attempts[attempt.step_run_id].append(attempt)
    calls = _calls(ids)
    return [_shape(step, values, attempts[step.pk], calls) for step in steps]


def _calls(step_ids: Sequence[int]) -> Mapping[tuple[int, int], int]:
    rows = (
        Call.objects.filter(step_run_id__in=step_ids)
        .order_by()
        .values_list("step_run_id", "attempt")
        .annotate(Count("id"))
    )
    return {(step, attempt): count for step, attempt, count in rows}


def _shape(
    step: StepRun,
    values: Mapping[str, Any],
    attempts: Sequence[Attempt],
    calls: Mapping[tuple[int, int], int],
) -> StepShape:
    return StepShape(
        path=step.path,
        kind=step.kind,
        state=step.state,  # type: ignore[typeddict-item]  # a constraint of the table
        epoch=step.epoch,
        input=values.get(bytes(step.input_hash).hex()) if step.input_hash else None,
        output=values.get(bytes(step.output_hash).hex()) if step.output_hash else None,
        error=shapes.step_error(step.error),
        started_at=asking.moment(step.started_at),
        ended_at=asking.moment(step.ended_at),
        cost_usd=shapes.money(step.cost_usd),
        tokens=shapes.tokens(step.tokens),
        attempts=[_attempt(attempt, calls.get((step.pk, attempt.number), 0)) for attempt in attempts],
    )


def _attempt(attempt: Attempt, calls: int) -> AttemptShape:
    return AttemptShape(
        number=attempt.number,
        state=attempt.state,  # type: ignore[typeddict-item]  # a constraint of the table
        worker=attempt.worker,
        started_at=asking.moment(attempt.started_at),
        ended_at=asking.moment(attempt.ended_at),
        error=shapes.step_error(attempt.error),
        calls=calls,
    )


class ResolveStep(Endpoint):
    """`/runs/ID/steps/PATH/resolve`."""

    permission_classes = needs("runs.retry")

    @operation(
        "Resolve a step",
        asks=Resolve,
        answers={200: answer(run_shape.RunShape)},
        problems_too=[404, 409],
    )
    def post(self, request: Request, run_id: str, path: str) -> Response:
        """Decide about a step that failed or whose outside effect is unknown."""
        asked = asking.body(request, Resolve)
        runs.get(run_id)
        recovery.resolve(
            run_id,
            path,
            action=asked.action,
            actor=actor_of(request),
            reason=asked.reason,
            output=asked.output,
        )
        return Response(run_shape.of_run(runs.get(run_id)))
