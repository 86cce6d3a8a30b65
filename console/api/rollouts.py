"""Rollouts: where they stand, what was measured; promote, pause, resume, abort."""

from __future__ import annotations

from typing import Any, Final, Literal

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, pages, runs
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from workflows.models import Measurement, Rollout
from workflows.releases import rollouts

State = Literal["running", "paused", "succeeded", "rolled_back", "aborted", "superseded"]
Verdict = Literal["pass", "wait", "fail"]


class MetricShape(TypedDict):
    """One limit as it was judged last. `n` runs of the candidate, `n_stable` of the stable release.

    `interval`: where `interval_of` lies, at whatever moment one looks; null: it has no bound on that side.
    """

    name: str
    stable: float | None
    candidate: float | None
    n: int
    n_stable: int
    interval: list[float | None] | None
    interval_of: str
    threshold: dict[str, float]
    verdict: Verdict
    words: str
    dry_run: bool


class RolloutShape(TypedDict):
    """A rollout. `step` counts `steps` from 0, -1 is before them; releases are numbers; `weight` in percent."""

    id: int
    workflow: str
    environment: str
    state: State
    paused_for: str | None
    note: str
    step: int
    steps: list[dict[str, Any]]
    weight: float
    from_release: int | None
    to_release: int
    verdict: Verdict | None
    metrics: list[MetricShape]
    measured_at: str | None
    due_at: str | None
    reason: str
    started_by: str
    started_at: str
    ended_at: str | None


class RolloutPage(TypedDict):
    """Rollouts, newest first."""

    results: list[RolloutShape]
    next: str | None


class MeasurementShape(TypedDict):
    """One look at the metrics."""

    id: int
    step: int
    at: str
    verdict: Verdict
    metrics: list[MetricShape]


class MeasurementPage(TypedDict):
    """Measurements, newest first."""

    results: list[MeasurementShape]
    next: str | None


class RolloutFilters(asking.Paged):
    """Which rollouts."""

    workflow: asking.Text | None = None
    environment: asking.Text | None = None
    state: State | None = None


class Promote(runs.Reason):
    """To the next step, or `fully`: all new runs get the candidate.

    `step`: the step that it stood in as you saw it; where it has gone on meanwhile, nothing happens (409).
    """

    fully: bool = False
    step: int | None = None


class Abort(runs.Reason):
    """What becomes of the candidate's runs that go on."""

    in_flight: Literal["finish", "cancel"] = "finish"


_ONE: Final = answer(RolloutShape)
_ROWS: Final = Rollout.objects.select_related("from_release", "to_release")


class Rollouts(Endpoint):
    """`/rollouts`."""

    permission_classes = needs("definitions.view")

    @operation("List rollouts", query=RolloutFilters, answers={200: answer(RolloutPage)})
    def get(self, request: Request) -> Response:
        """List rollouts, newest first."""
        asked = asking.query(request, RolloutFilters)
        wanted = {
            "workflow": asked.workflow,
            "environment_id": asked.environment,
            "state": asked.state,
        }
        found = _ROWS.filter(**{key: value for key, value in wanted.items() if value is not None})
        page = pages.by_number(found, cursor=asked.cursor, limit=asked.limit)
        return Response(page.as_json(shape))


class OneRollout(Endpoint):
    """`/rollouts/ID`."""

    permission_classes = needs("definitions.view")

    @operation("Show a rollout", answers={200: _ONE}, problems_too=[404])
    def get(self, request: Request, rollout_id: int) -> Response:
        """Show where it stands, and what was measured last."""
        return Response(shape(rollouts.get(rollout_id)))


class Measurements(Endpoint):
    """`/rollouts/ID/measurements`."""

    permission_classes = needs("definitions.view")

    @operation(
        "List measurements",
        query=asking.Paged,
        answers={200: answer(MeasurementPage)},
        problems_too=[404],
    )
    def get(self, request: Request, rollout_id: int) -> Response:
        """List what was measured, newest first."""
        asked = asking.query(request, asking.Paged)
        found = Measurement.objects.filter(rollout=rollouts.get(rollout_id))
        page = pages.by_number(found, cursor=asked.cursor, limit=asked.limit)
        return Response(page.as_json(_measurement))


class PromoteRollout(Endpoint):
    """`/rollouts/ID/promote`."""

    http_method_names = ["post"]
    permission_classes = needs("definitions.view", "releases.deploy")

    @operation("Promote a rollout", asks=Promote, answers={200: _ONE}, problems_too=[404, 409])
    def post(self, request: Request, rollout_id: int) -> Response:
        """Go on to the next step, whatever this one waits for; in a protected environment by a second person."""
        asked = asking.body(request, Promote)
        return Response(
            shape(
                rollouts.promote(
                    rollout_id,
                    actor=actor_of(request),
                    reason=asked.reason,
                    now=timezone.now(),
                    fully=asked.fully,
                    step=asked.step,
                )
            )
        )


class PauseRollout(Endpoint):
    """`/rollouts/ID/pause`."""

    http_method_names = ["post"]
    permission_classes = needs("definitions.view", "rollouts.stop")

    @operation("Pause a rollout", asks=runs.Reason, answers={200: _ONE}, problems_too=[404, 409])
    def post(self, request: Request, rollout_id: int) -> Response:
        """Leave the weight as it is until somebody resumes it."""
        asked = asking.body(request, runs.Reason)
        moved = rollouts.pause(rollout_id, actor=actor_of(request), reason=asked.reason, now=timezone.now())
        return Response(shape(moved))


class ResumeRollout(Endpoint):
    """`/rollouts/ID/resume`."""

    http_method_names = ["post"]
    permission_classes = needs("definitions.view", "releases.deploy")

    @operation("Resume a rollout", asks=runs.Reason, answers={200: _ONE}, problems_too=[404, 409])
    def post(self, request: Request, rollout_id: int) -> Response:
        """Begin the step anew that it was paused in."""
        asked = asking.body(request, runs.Reason)
        moved = rollouts.resume(rollout_id, actor=actor_of(request), reason=asked.reason, now=timezone.now())
        return Response(shape(moved))


class AbortRollout(Endpoint):
    """`/rollouts/ID/abort`."""

    http_method_names = ["post"]
    permission_classes = needs("definitions.view", "rollouts.stop")

    @operation("Abort a rollout", asks=Abort, answers={200: _ONE}, problems_too=[404, 409])
    def post(self, request: Request, rollout_id: int) -> Response:
        """Give all new runs the stable release again."""
        asked = asking.body(request, Abort)
        moved = rollouts.abort(
            rollout_id,
            actor=actor_of(request),
            reason=asked.reason,
            now=timezone.now(),
            in_flight=asked.in_flight,
        )
        return Response(shape(moved))


def shape(row: Rollout) -> RolloutShape:
    """Write a rollout; its releases are loaded with it."""
    return RolloutShape(
        id=row.pk,
        workflow=row.workflow,
        environment=row.environment_id,
        state=row.state,  # type: ignore[typeddict-item]  # a constraint of the table
        paused_for=row.paused_for or None,
        note=row.note,
        step=row.step,
        steps=row.plan["steps"],
        weight=row.weight,
        from_release=row.from_release.number if row.from_release else None,
        to_release=row.to_release.number,
        verdict=row.verdict or None,  # type: ignore[typeddict-item]  # `judging` writes it
        metrics=row.metrics,
        measured_at=asking.moment(row.measured_at),
        due_at=asking.moment(row.due_at),
        reason=row.reason,
        started_by=row.started_by,
        started_at=asking.moment(row.started_at) or "",
        ended_at=asking.moment(row.ended_at),
    )


def _measurement(found: Measurement) -> MeasurementShape:
    return MeasurementShape(
        id=found.pk,
        step=found.step,
        at=asking.moment(found.at) or "",
        verdict=found.verdict,  # type: ignore[typeddict-item]  # `judging` writes it
        metrics=found.metrics,
    )
