"""A run as it happens: Server-Sent Events, resumed by `Last-Event-ID`. Only what the journal has recorded."""

from __future__ import annotations

from typing import Any, Final

from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter
from pydantic import Field
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from console import streaming
from console.api import asking, journal, shapes
from console.api.endpoint import Endpoint, needs
from console.api.openapi import Raw, operation
from console.streaming import Look, Stream, frame
from workflows import runs
from workflows.queries import run_changes
from workflows.queries.run_changes import Changes, StepChange


class StreamPlace(asking.Query):
    """From where to go on."""

    after: int = Field(
        0, ge=0, le=2**63 - 1, description="Go on after this id; `Last-Event-ID` says the same and wins."
    )


_LAST_SEEN = OpenApiParameter(
    "Last-Event-ID", str, OpenApiParameter.HEADER, description="The last id that was seen; browsers send it."
)


# Of each event; what stands in `data` is JSON, as the operation's text says.
_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": ["state", "steps", "gone"]},
        "id": {"type": "string"},
        "data": {"type": "string"},
    },
}


class RunStream(Endpoint):
    """`/runs/ID/stream`."""

    permission_classes = needs("runs.view")

    @operation(
        "Follow a run",
        query=StreamPlace,
        headers=[_LAST_SEEN],
        answers={200: Raw({"text/event-stream": _EVENT}), 204: None},
        problems_too=[404, 429],
    )
    def get(self, request: Request, run_id: str) -> HttpResponseBase:
        """Follow a run by Server-Sent Events until it has ended; 204 where nothing can come any more.

        `state` has the run's state and error, `steps` the step runs that changed as they are now. Where
        `more` is true they were too many to be listed: read `/runs/ID/steps`.
        """
        asked = asking.query(request, StreamPlace)
        run = runs.get(run_id)
        seen = streaming.last_seen(request._request)
        after = asked.after if seen is None else seen
        now = run_changes.now(run.id)
        if now is not None and now.ended and after >= now.seq > 0:
            return Response(status=204)
        person = f"{'token' if request.auth else 'user'}:{request.user.pk}"
        if streaming.too_many(person):
            raise Throttled(wait=30, detail=f"At most {streaming.MOST_PER_PERSON} streams for each caller.")
        return streaming.answer(Stream(run.id, person, after, _Teller(run.id)))


class _Teller:
    """Looks at a run, and tells what is another than the last time."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.state = ""

    def __call__(self, after: int) -> Look:
        found = run_changes.since(self.run_id, after=after, before=journal.oldest_writer())
        if found is None:
            return Look(frames=[frame("gone", {}, seq=after)], seq=after, ended=True)
        frames = []
        if found.steps or found.cut:
            frames.append(frame("steps", _steps(found), seq=found.seq))
        if found.state != self.state and not found.more:
            self.state = found.state
            error = shapes.run_error(dict(found.error) if found.error else None)
            frames.append(frame("state", {"state": found.state, "error": error}, seq=found.seq))
        return Look(frames=frames, seq=found.seq, again=found.more, ended=found.ended and not found.more)


def _steps(found: Changes) -> dict[str, Any]:
    return {"steps": [_step(step) for step in found.steps], "more": found.cut}


def _step(step: StepChange) -> dict[str, Any]:
    return {
        "path": step.path,
        "kind": step.kind,
        "state": step.state,
        "epoch": step.epoch,
        "attempt": step.attempts_made,
        "error": shapes.step_error(dict(step.error) if step.error else None),
        "started_at": asking.moment(step.started_at),
        "ended_at": asking.moment(step.ended_at),
    }
