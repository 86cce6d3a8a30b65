"""Pieces of state that are taken out of use, and the runs that used them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, pages
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from workflows import quarantine
from workflows.models import Quarantine, Taint

Kind = Literal["document", "snapshot", "prompt", "tool", "memory", "release", "provider"]
State = Literal["active", "released"]


class QuarantineShape(TypedDict):
    """A quarantine. `deployed`: where a release is still live that holds what is quarantined."""

    id: int
    kind: Kind
    ref: str
    since: str | None
    until: str | None
    state: State
    reason: str
    created_by: str
    created_at: str
    released_by: str | None
    released_at: str | None
    runs: int
    deployed: list[str]


class QuarantinePage(TypedDict):
    """Quarantines, newest first."""

    results: list[QuarantineShape]
    next: str | None


class TaintedShape(TypedDict):
    """A run that used it. `step`: the first that did; `via`: what of a tainted run led to it, null: it itself."""

    run: str
    workflow: str
    state: str
    step: str | None
    via: Literal["memory", "run"] | None
    created_at: str


class TaintedPage(TypedDict):
    """Runs, newest first."""

    results: list[TaintedShape]
    next: str | None


_Moment = Annotated[asking.Moment, Field(strict=False)]  # JSON has no times: a text is read as one


class QuarantineAsk(asking.Ask):
    """What to take out of use: CORPUS/NAME of a document, CORPUS@N, PROMPT@N, TOOL@N, WORKFLOW@N of a release,
    ENVIRONMENT/SCOPE/KEY@N of memory, PROVIDER or PROVIDER/MODEL with a window."""

    kind: Kind
    ref: asking.LongText = Field(min_length=1)
    since: _Moment | None = None
    until: _Moment | None = None
    reason: asking.LongText = Field(min_length=1)


class QuarantineFilters(asking.Paged):
    """Filters of the list."""

    kind: Kind | None = None
    state: State | None = None


class ReleaseAsk(asking.Ask):
    """Why it is trusted again."""

    reason: asking.LongText = Field(min_length=1)


_ONE: Final = answer(QuarantineShape)


class Quarantines(Endpoint):
    """`/quarantines`."""

    permission_classes = needs("runs.view", "quarantines.manage")

    @operation("List quarantines", query=QuarantineFilters, answers={200: answer(QuarantinePage)})
    def get(self, request: Request) -> Response:
        """List what is or was taken out of use, newest first."""
        asked = asking.query(request, QuarantineFilters)
        found = Quarantine.objects.all()
        if asked.kind is not None:
            found = found.filter(kind=asked.kind)
        if asked.state is not None:
            found = found.filter(released_at__isnull=asked.state == "active")
        page = pages.by_number(found, cursor=asked.cursor, limit=asked.limit)
        return Response({"results": [_shape(each) for each in page.rows], "next": page.next})

    @operation(
        "Quarantine a piece of state", asks=QuarantineAsk, answers={201: _ONE}, problems_too=[404, 409]
    )
    def post(self, request: Request) -> Response:
        """Take it out of use from now on, and mark the runs that used it."""
        asked = asking.body(request, QuarantineAsk)
        ask = quarantine.Ask(
            kind=asked.kind, ref=asked.ref, reason=asked.reason, since=asked.since, until=asked.until
        )
        return Response(_shape(quarantine.impose(ask, actor=actor_of(request))), status=201)


class OneQuarantine(Endpoint):
    """`/quarantines/ID`."""

    permission_classes = needs("runs.view")

    @operation("Show a quarantine", answers={200: _ONE}, problems_too=[404])
    def get(self, request: Request, quarantine_id: int) -> Response:
        """Show a quarantine."""
        return Response(_shape(quarantine.get(quarantine_id)))


class TaintedRuns(Endpoint):
    """`/quarantines/ID/runs`."""

    permission_classes = needs("runs.view")

    @operation(
        "List the runs of a quarantine",
        query=asking.Paged,
        answers={200: answer(TaintedPage)},
        problems_too=[404],
    )
    def get(self, request: Request, quarantine_id: int) -> Response:
        """List the runs that used it, or what such a run left behind, newest first."""
        asked = asking.query(request, asking.Paged)
        found = quarantine.get(quarantine_id)
        if found.released_at is None:
            quarantine.mark(found)
        taints = found.taints.select_related("run")
        page = pages.by_number(taints, cursor=asked.cursor, limit=asked.limit)
        return Response({"results": [_tainted(each) for each in page.rows], "next": page.next})


class ReleaseQuarantine(Endpoint):
    """`/quarantines/ID/release`."""

    http_method_names = ["post"]
    permission_classes = needs("runs.view", "quarantines.manage")

    @operation("Release a quarantine", asks=ReleaseAsk, answers={200: _ONE}, problems_too=[404, 409])
    def post(self, request: Request, quarantine_id: int) -> Response:
        """Let it back into use; runs stay marked as they are."""
        asked = asking.body(request, ReleaseAsk)
        released = quarantine.release(quarantine_id, actor=actor_of(request), reason=asked.reason)
        return Response(_shape(released))


def _shape(found: Quarantine) -> QuarantineShape:
    return QuarantineShape(
        id=found.pk,
        kind=found.kind,  # type: ignore[typeddict-item]  # a constraint of the table
        ref=found.ref,
        since=asking.moment(found.since),
        until=asking.moment(found.until),
        state="active" if found.released_at is None else "released",
        reason=found.reason,
        created_by=found.created_by,
        created_at=asking.moment(found.created_at) or "",
        released_by=found.released_by or None,
        released_at=asking.moment(found.released_at),
        runs=found.taints.count(),
        deployed=[f"{each.workflow}/{each.environment_id}" for each in quarantine.deployed(found)],
    )


def _tainted(taint: Taint) -> TaintedShape:
    return TaintedShape(
        run=taint.run_id,
        workflow=taint.run.workflow,
        state=taint.run.state,
        step=taint.path or None,
        via=taint.via or None,  # type: ignore[typeddict-item]  # as the statement names it
        created_at=asking.moment(taint.run.created_at) or "",
    )
