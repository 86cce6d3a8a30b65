"""Runs: start, list, look, cancel, retry. Parses, checks, calls one service, writes the answer."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from django.db import connection
from drf_spectacular.utils import OpenApiParameter
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from console.api import asking, pages, run_filters, run_shape
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.errors import InvalidRequestError
from console.api.openapi import answer, operation
from console.problems import Fault
from workflows import payloads, runs
from workflows.errors import Invalid
from workflows.models import Run

MAX_KEY: Final = 255
MAX_DEADLINE_S: Final = 366 * 24 * 3600


class StartRun(asking.Ask):
    """What a run is started with."""

    workflow: asking.Text
    input: Any
    environment: asking.Text = "production"
    release: asking.Number | None = None
    session: asking.Text | None = None
    title: asking.Text = ""
    priority: Literal["high", "normal", "low"] = "normal"
    tags: Annotated[tuple[asking.Tag, ...], Field(max_length=50, strict=False)] = ()
    deadline: Annotated[float, Field(gt=0, le=MAX_DEADLINE_S)] | None = Field(
        None, description="Seconds from its creation."
    )


class Reason(asking.Ask):
    """Why, for the audit log."""

    reason: asking.LongText = ""


KEY_HEADER: Final = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY},
    OpenApiParameter.HEADER,
    description="The same key and body give the same run, however often they are sent.",
)
_RUN: Final = answer(run_shape.RunShape)


class Runs(Endpoint):
    """`/runs`."""

    permission_classes = needs("runs.view", "runs.start")

    @operation("List runs", query=run_filters.RunFilters, answers={200: answer(run_shape.RunPage)})
    def get(self, request: Request) -> Response:
        """List runs, newest first. A page ends early where its values would be larger than 8 MB."""
        asked = asking.query(request, run_filters.RunFilters)
        found = run_filters.apply(asked).select_related("release")
        page = pages.by_time(found, cursor=asked.cursor, limit=asked.limit)
        fit = pages.fitting([(run.input_hash, run.output_hash) for run in page.rows])
        shown = page.rows[:fit]
        further = page.next if fit == len(page.rows) else pages.time_cursor(shown[-1])
        return Response({"results": run_shape.of_runs(shown), "next": further})

    @operation(
        "Start a run",
        asks=StartRun,
        query=asking.Waiting,
        headers=[KEY_HEADER],
        answers={201: _RUN, 200: _RUN},
        problems_too=[404, 409, 429],
    )
    def post(self, request: Request) -> Response:
        """Start a run. 200 with `Idempotency-Replayed: true` where the key had started it before."""
        wait_s = asking.query(request, asking.Waiting).wait
        key = _key(request)
        asked = _asked(request.data, key)
        started = runs.start(_order(asked), actor=actor_of(request), trigger="api", idempotency_key=key)
        run = waited(started.run, wait_s)
        headers = {"Location": run_shape.address(run.id)}
        if not started.created:
            headers["Idempotency-Replayed"] = "true"
        return Response(run_shape.of_run(run), status=201 if started.created else 200, headers=headers)


def _order(asked: StartRun) -> runs.Order:
    return runs.Order(
        workflow=asked.workflow,
        input=asked.input,
        environment=asked.environment,
        release=asked.release,
        session=asked.session,
        title=asked.title,
        priority=asked.priority,
        tags=asked.tags,
        deadline_s=asked.deadline,
    )


def _key(request: Request) -> str | None:
    key: str | None = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY or "\0" in key:
        message = f"A key has 1 to {MAX_KEY} characters; this one has {len(key)}."
        raise InvalidRequestError((Fault(path="Idempotency-Key", message=message),))
    return key


def _asked(value: Any, key: str | None) -> StartRun:
    """Validate a body; a key that is in use answers first, whatever is wrong with this body."""
    try:
        return asking.validated(value, StartRun)
    except InvalidRequestError:
        if key is not None and isinstance(value, dict):
            environment = value.get("environment", "production")
            _refuse_reuse(value.get("workflow"), environment, key)
        raise


def _refuse_reuse(workflow: object, environment: object, key: str) -> None:
    """A body that started a run was valid, so an invalid one under its key is another body."""
    if not isinstance(workflow, str) or not isinstance(environment, str):
        return
    known = Run.objects.filter(
        workflow=payloads.clean_text(workflow),
        environment_id=payloads.clean_text(environment),
        idempotency_key=key,
    )
    if known.exists():
        raise Invalid(
            "This idempotency key started a run with another request. Use a new key for a new request.",
            code="idempotency_key_reused",
        )


def waited(run: Run, wait_s: float) -> Run:
    """Return the run at its end, or as it is when the time is up."""
    if wait_s <= 0 or run.ended_at is not None:
        return run
    if not connection.in_atomic_block:
        connection.close()  # back to the pool: waiting clients are many, connections are few
    return runs.wait(run.id, timeout_s=wait_s)


class OneRun(Endpoint):
    """`/runs/ID`."""

    permission_classes = needs("runs.view")

    @operation("Show a run", answers={200: _RUN}, query=asking.Waiting, problems_too=[404, 410])
    def get(self, request: Request, run_id: str) -> Response:
        """Show a run; `?wait=` holds the answer until it ends."""
        wait_s = asking.query(request, asking.Waiting).wait
        return Response(run_shape.of_run(waited(runs.get(run_id), wait_s)))


class CancelRun(Endpoint):
    """`/runs/ID/cancel`."""

    permission_classes = needs("runs.cancel")

    @operation("Cancel a run", asks=Reason, answers={200: _RUN}, problems_too=[404, 409])
    def post(self, request: Request, run_id: str) -> Response:
        """Stop a run for good: nothing new starts, running attempts finish."""
        asked = asking.body(request, Reason)
        runs.get(run_id)
        runs.cancel(run_id, actor=actor_of(request), reason=asked.reason)
        return Response(run_shape.of_run(runs.get(run_id)))
