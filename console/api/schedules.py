"""Schedules: when they fire, what became of their fire times, pause, resume, fire."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final, Literal

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, pages, runs
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from workflows import firing, schedules
from workflows.models import Fire, Schedule
from workflows.queries import schedules as queries
from workflows.queries.schedules import ScheduleRow
from workflows.spec import cron

Outcome = Literal["due", "started", "skipped", "missed", "failed"]
_COMING: Final = 10


class FireShape(TypedDict):
    """What became of a fire time, or of `count` that were missed together, from `fire_at` until `until`.

    `due`: its run waits to be started. `note` says why it was skipped, missed or failed, or what it waits for.
    """

    id: int
    schedule: str
    fire_at: str
    outcome: Outcome
    run: str | None
    note: str
    manual: bool
    fired_by: str | None
    count: int
    until: str | None


class ScheduleShape(TypedDict):
    """A schedule; `next` are its next ten fire times as if it were not paused."""

    name: str
    version: int
    workflow: str
    environment: str
    cron: str
    timezone: str
    overlap: str
    paused: bool
    paused_by: str | None
    pause_reason: str | None
    next_fire_at: str | None
    next: list[str]
    last: FireShape | None


class SchedulePage(TypedDict):
    """Schedules by name."""

    results: list[ScheduleShape]
    next: str | None


class FirePage(TypedDict):
    """Fire times, those recorded last first."""

    results: list[FireShape]
    next: str | None


class FireFilters(asking.Paged):
    """Which fire times."""

    outcome: Outcome | None = None


_ONE: Final = answer(ScheduleShape)


class Schedules(Endpoint):
    """`/schedules`."""

    permission_classes = needs("definitions.view")

    @operation("List schedules", query=asking.Paged, answers={200: answer(SchedulePage)})
    def get(self, request: Request) -> Response:
        """List the schedules by name."""
        asked = asking.query(request, asking.Paged)
        after = pages.decode(asked.cursor, [str])[0] if asked.cursor else ""
        names = list(
            Schedule.objects.filter(pk__gt=after)
            .order_by("pk")
            .values_list("pk", flat=True)[: asked.limit + 1]
        )
        shown = names[: asked.limit]
        return Response(
            {
                "results": [_shape(row) for row in queries.rows(shown)],
                "next": pages.encode(shown[-1]) if len(names) > len(shown) else None,
            }
        )


class OneSchedule(Endpoint):
    """`/schedules/NAME`."""

    permission_classes = needs("definitions.view")

    @operation("Show a schedule", answers={200: _ONE}, problems_too=[404])
    def get(self, request: Request, name: str) -> Response:
        """Show when it fires next, and what became of its last fire time."""
        return Response(_shape(queries.one(name)))


class Fires(Endpoint):
    """`/schedules/NAME/fires`."""

    permission_classes = needs("definitions.view")

    @operation("List fire times", query=FireFilters, answers={200: answer(FirePage)}, problems_too=[404])
    def get(self, request: Request, name: str) -> Response:
        """List what became of the fire times of a schedule; it is kept for 90 days."""
        asked = asking.query(request, FireFilters)
        found = Fire.objects.filter(schedule=schedules.get(name).pk)
        if asked.outcome is not None:
            found = found.filter(outcome=asked.outcome)
        page = pages.by_number(found, cursor=asked.cursor, limit=asked.limit)
        return Response(page.as_json(_fire))


class _Move(Endpoint):
    """What pausing and resuming share."""

    http_method_names = ["post"]
    permission_classes = needs("definitions.view", "schedules.lead")
    move: Callable[..., Schedule]

    def _moved(self, request: Request, name: str) -> Response:
        asked = asking.body(request, runs.Reason)
        type(self).move(name, actor=actor_of(request), reason=asked.reason, now=timezone.now())
        return Response(_shape(queries.one(name)))


class PauseSchedule(_Move):
    """`/schedules/NAME/pause`."""

    move = staticmethod(schedules.pause)

    @operation("Pause a schedule", asks=runs.Reason, answers={200: _ONE}, problems_too=[404, 409])
    def post(self, request: Request, name: str) -> Response:
        """Fire no more until it is resumed."""
        return self._moved(request, name)


class ResumeSchedule(_Move):
    """`/schedules/NAME/resume`."""

    move = staticmethod(schedules.resume)

    @operation("Resume a schedule", asks=runs.Reason, answers={200: _ONE}, problems_too=[404, 409])
    def post(self, request: Request, name: str) -> Response:
        """Fire again from the next fire time on; what passed meanwhile is not caught up."""
        return self._moved(request, name)


class FireSchedule(Endpoint):
    """`/schedules/NAME/fire`."""

    http_method_names = ["post"]
    permission_classes = needs("definitions.view", "schedules.lead")

    @operation(
        "Fire a schedule",
        asks=runs.Reason,
        headers=[runs.KEY_HEADER],
        answers={201: answer(FireShape)},
        problems_too=[404, 409, 429],
    )
    def post(self, request: Request, name: str) -> Response:
        """Start a run now, whatever the overlap rule says; the same key fires once."""
        asked = asking.body(request, runs.Reason)
        key = request.headers.get("Idempotency-Key")
        fire = schedules.fire_now(
            name,
            actor=actor_of(request),
            reason=asked.reason,
            now=timezone.now(),
            request_key=f"api:{key[:200]}" if key else None,
        )
        return Response(_fire(fire), status=201)


def _shape(row: ScheduleRow) -> ScheduleShape:
    schedule, body = row.schedule, row.body
    paused = schedule.paused_at is not None
    later = islice(cron.following(schedule.next_fire_at, body["cron"], row.zone), _COMING - 1)
    return ScheduleShape(
        name=schedule.name,
        version=schedule.version,
        workflow=body["workflow"],
        environment=firing.environment_of(body),
        cron=body["cron"],
        timezone=row.zone,
        overlap=body.get("overlap", "skip"),
        paused=paused,
        paused_by=schedule.paused_by or None,
        pause_reason=schedule.pause_reason or None,
        next_fire_at=None if paused else asking.moment(schedule.next_fire_at),
        next=[asking.moment(at) or "" for at in (schedule.next_fire_at, *later)],
        last=_fire(row.last) if row.last else None,
    )


def _fire(fire: Fire) -> FireShape:
    return FireShape(
        id=fire.pk,
        schedule=fire.schedule,
        fire_at=asking.moment(fire.fire_at) or "",
        outcome=fire.outcome,  # type: ignore[typeddict-item]  # a constraint of the table
        run=fire.run_id or None,
        note=fire.note,
        manual=fire.manual,
        fired_by=fire.fired_by or None,
        count=fire.count,
        until=asking.moment(fire.until),
    )
