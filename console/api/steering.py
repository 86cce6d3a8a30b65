"""Hold runs up and lead them on: pause, resume, signal; and pauses of more than one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, run_shape
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from console.api.runs import Reason
from workflows import pauses, runs
from workflows.models import Pause, Run

_RUN: Final = answer(run_shape.RunShape)


class _Steer(Endpoint):
    """What pausing and resuming share."""

    http_method_names = ["post"]
    permission_classes = needs("runs.view", "runs.pause")
    move: Callable[..., Run]

    def _moved(self, request: Request, run_id: str) -> Response:
        asked = asking.body(request, Reason)
        type(self).move(run_id, actor=actor_of(request), reason=asked.reason)
        return Response(run_shape.of_run(runs.get(run_id)))


class PauseRun(_Steer):
    """`/runs/ID/pause`."""

    move = staticmethod(runs.pause)

    @operation("Pause a run", asks=Reason, answers={200: _RUN}, problems_too=[404, 409])
    def post(self, request: Request, run_id: str) -> Response:
        """Start nothing new in it until it is resumed; running attempts finish."""
        return self._moved(request, run_id)


class ResumeRun(_Steer):
    """`/runs/ID/resume`."""

    move = staticmethod(runs.resume)

    @operation("Resume a run", asks=Reason, answers={200: _RUN}, problems_too=[404, 409])
    def post(self, request: Request, run_id: str) -> Response:
        """Lead a paused run on."""
        return self._moved(request, run_id)


class SignalAsk(asking.Ask):
    """A signal; `payload` is any JSON."""

    name: asking.Text
    payload: Any = None


class SignalRun(Endpoint):
    """`/runs/ID/signal`."""

    http_method_names = ["post"]
    permission_classes = needs("runs.view", "runs.signal")

    @operation("Signal a run", asks=SignalAsk, answers={200: _RUN}, problems_too=[404, 409])
    def post(self, request: Request, run_id: str) -> Response:
        """Send a signal. It is kept until a wait takes it; 409 where the definition has no such signal."""
        asked = asking.body(request, SignalAsk)
        runs.signal(run_id, asked.name, asked.payload, actor=actor_of(request))
        return Response(run_shape.of_run(runs.get(run_id)))


class PauseShape(TypedDict):
    """A pause of more than one run. Both `environment` and `workflow` null: everything is paused."""

    id: int
    environment: str | None
    workflow: str | None
    reason: str
    created_by: str
    created_at: str


class PauseList(TypedDict):
    """The pauses that hold, oldest first."""

    results: list[PauseShape]
    next: None


class PauseAsk(asking.Ask):
    """What to pause; neither environment nor workflow: everything."""

    environment: asking.Name | None = None
    workflow: asking.Name | None = None
    reason: asking.LongText = Field(description="Shown to everybody, and in the audit log.")


class Pauses(Endpoint):
    """`/pauses`."""

    permission_classes = needs("runs.view", "pauses.manage")

    @operation("List pauses", answers={200: answer(PauseList)})
    def get(self, request: Request) -> Response:
        """List what is paused."""
        return Response({"results": [pause_shape(each) for each in pauses.all_()], "next": None})

    @operation("Pause a scope", asks=PauseAsk, answers={201: answer(PauseShape)}, problems_too=[404, 409])
    def post(self, request: Request) -> Response:
        """Start nothing new in a workflow, an environment or anywhere; new runs are accepted and wait."""
        asked = asking.body(request, PauseAsk)
        pause = pauses.add(
            environment=asked.environment,
            workflow=asked.workflow,
            actor=actor_of(request),
            reason=asked.reason,
        )
        return Response(pause_shape(pause), status=201)


class OnePause(Endpoint):
    """`/pauses/ID`."""

    http_method_names = ["delete"]
    permission_classes = needs("runs.view", "pauses.manage")

    @operation("End a pause", answers={204: None}, problems_too=[404])
    def delete(self, request: Request, pause_id: int) -> Response:
        """Let what was paused go on."""
        pauses.end(pause_id, actor=actor_of(request))
        return Response(status=204)


def pause_shape(pause: Pause) -> PauseShape:
    """Write a pause."""
    return PauseShape(
        id=pause.pk,
        environment=pause.environment_id,
        workflow=pause.workflow,
        reason=pause.reason,
        created_by=pause.created_by,
        created_at=asking.moment(pause.created_at) or "",
    )
