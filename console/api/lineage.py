"""Who used a piece of state: the runs with their steps, and what those runs left behind."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, pages
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from workflows import pieces
from workflows.pieces import Piece
from workflows.queries import lineage
from workflows.queries.lineage import User

Kind = Literal[
    "document",
    "revision",
    "chunk",
    "snapshot",
    "prompt",
    "tool",
    "memory",
    "release",
    "provider",
    "model",
]


class PieceShape(TypedDict):
    """A piece of state. `quarantines`: those that hold of it, or of what it is a part of."""

    kind: Kind
    name: str
    since: str | None
    until: str | None
    quarantines: list[int]


class UsesShape(TypedDict):
    """How much used it. `more`: the numbers are of the newest 10,000 uses. Null `steps`: a release has whole runs."""

    runs: int
    steps: int | None
    more: bool
    first_used_at: str | None
    last_used_at: str | None


class LeftShape(TypedDict):
    """What a run left behind, five of each at most: memory by name, tools that change something, child runs."""

    memory: list[str]
    tools: list[str]
    runs: list[str]
    more: bool


class UserShape(TypedDict):
    """A run that used it. `step`: the first that did, null: all of it; `steps`: how many did, up to 1,000."""

    run: str
    workflow: str
    release: int
    state: str
    created_at: str
    step: str | None
    steps: int
    used_at: str | None
    left: LeftShape


class LineageShape(TypedDict):
    """Who used a piece of state, newest first."""

    piece: PieceShape
    uses: UsesShape
    results: list[UserShape]
    next: str | None


class LineageQuery(asking.Paged):
    """Which piece of state: CORPUS/NAME of a document, CORPUS/NAME@N of a revision, CORPUS/NAME@N#PASSAGE of a chunk,
    CORPUS@N, PROMPT@N, TOOL@N, ENVIRONMENT/SCOPE/KEY@N of memory, WORKFLOW@N of a release, PROVIDER or PROVIDER/MODEL,
    a model's name; the last two in a window of time."""

    kind: Kind
    name: asking.LongText = Field(min_length=1)
    since: asking.Moment | None = None
    until: asking.Moment | None = None


class Lineage(Endpoint):
    """`/lineage`."""

    permission_classes = needs("runs.view")

    @operation(
        "Who used a piece of state",
        query=LineageQuery,
        answers={200: answer(LineageShape)},
        problems_too=[404],
    )
    def get(self, request: Request) -> Response:
        """List the runs that used it, with the first step of each, and what they left behind."""
        asked = asking.query(request, LineageQuery)
        (after,) = pages.decode(asked.cursor, [str]) if asked.cursor else ("",)
        piece = pieces.find(Piece(kind=asked.kind, name=asked.name, since=asked.since, until=asked.until))
        found = lineage.page(piece, after=after, limit=asked.limit)
        shape = LineageShape(
            piece=_piece(piece),
            uses=_uses(lineage.totals(piece)),
            results=[_user(each) for each in found.rows],
            next=pages.encode(found.next) if found.next else None,
        )
        return Response(shape)


def _piece(piece: Piece) -> PieceShape:
    return PieceShape(
        kind=piece.kind,  # type: ignore[typeddict-item]  # as it was asked for
        name=piece.name,
        since=asking.moment(piece.since),
        until=asking.moment(piece.until),
        quarantines=[each.pk for each in lineage.quarantines(piece)],
    )


def _uses(totals: lineage.Totals) -> UsesShape:
    return UsesShape(
        runs=totals.runs,
        steps=totals.steps,
        more=totals.capped,
        first_used_at=asking.moment(totals.first),
        last_used_at=asking.moment(totals.last),
    )


def _user(user: User) -> UserShape:
    run, left = user.run, user.left
    return UserShape(
        run=run.pk,
        workflow=run.workflow,
        release=run.release.number,
        state=run.state,
        created_at=asking.moment(run.created_at) or "",
        step=user.use.path or None,
        steps=user.use.steps,
        used_at=asking.moment(user.use.at),
        left=LeftShape(
            memory=list(left.memory), tools=list(left.tools), runs=list(left.runs), more=left.more
        ),
    )
