"""Bulk actions: preview, start, progress with per-run results, pause, resume, stop."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console import access
from console.api import asking, pages, runs, shapes
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.errors import InvalidRequestError
from console.api.openapi import answer, operation
from console.api.run_shape import State
from console.problems import Fault
from workflows.bulk import actions, previews, selections
from workflows.bulk.previews import Asked, Preview
from workflows.bulk.selections import Matching, Selection
from workflows.models import BulkAction
from workflows.queries import bulk_page
from workflows.queries.run_list import RunFilter

Action = Literal["retry", "cancel"]
BulkState = Literal["waiting", "running", "paused", "stopped", "finished"]
Place = Literal["succeeded", "cancelled", "failed", "going", "gone", "refused", "pending"]


class BulkFilter(asking.Ask):
    """Which runs: as the parameters of `GET /runs`."""

    workflow: asking.Text = ""
    state: Annotated[tuple[State, ...], Field(max_length=7, strict=False, description="Any of these.")] = ()
    since: Annotated[asking.Moment, Field(strict=False)] | None = None
    until: Annotated[asking.Moment, Field(strict=False)] | None = None
    q: asking.Text = Field("", description="In the title or the error, or how the id begins.")


class BulkAsk(asking.Ask):
    """What is to be done, to which runs: exactly one of `ids` and `filter`."""

    action: Action
    ids: Annotated[tuple[asking.Text, ...], Field(max_length=selections.MAX_PICKED, strict=False)] = ()
    filter: BulkFilter | None = None
    dry_run: bool = Field(False, description="Only say what would happen.")
    reason: asking.LongText = Field("", description="For the audit log; needed unless it is a dry run.")
    frozen_at: Annotated[asking.Moment, Field(strict=False)] | None = Field(
        None, description="Runs that came after this are not touched; now, unless given."
    )
    expected: Annotated[int, Field(ge=0, le=previews.MAX_RUNS)] | None = Field(
        None, description="`total` of a dry run: it is refused where it would be more by now."
    )
    rate: Annotated[float, Field(ge=actions.MIN_RATE, le=actions.MAX_RATE)] | None = Field(
        None, description="Runs a second; a retry has 5 unless given."
    )
    stop_above: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="The share of retried runs that fail again above which it stops by itself."
    )
    with_cancelled: bool = Field(False, description="Retry cancelled runs too, not only failed ones.")


class BulkPaged(asking.Paged):
    """Which of the runs are shown."""

    outcome: Place | None = None


class ExcludedShape(TypedDict):
    """Runs that match and are left out; `why` is a stable word, `message` says it."""

    why: str
    count: int
    message: str


GroupShape = TypedDict("GroupShape", {"class": str, "step": str, "message": str, "count": int})


class BulkShape(TypedDict):
    """A bulk action; `id`, `state` and what follows from them are null in a dry run.

    `total` runs are meant of the `matched` ones. `outcomes` counts them by what became of them.
    """

    id: str | None
    action: Action
    state: BulkState | None
    note: str
    reason: str
    selection: dict[str, Any]
    frozen_at: str
    matched: int
    total: int
    excluded: list[ExcludedShape]
    groups: list[GroupShape]
    cost_usd: str | None
    rate: float | None
    stop_above: float | None
    with_cancelled: bool
    outcomes: dict[str, int]
    created_by: str | None
    created_at: str | None
    starts_at: str | None
    ended_at: str | None
    run: str | None


class BulkResult(TypedDict):
    """What became of one run."""

    run: str
    outcome: Place
    state: State | None
    reason: str
    at: str | None


class BulkProgress(BulkShape):
    """A bulk action with one page of its runs, in the order in which they are taken."""

    results: list[BulkResult]
    next: str | None


_BULK: Final = answer(BulkShape)


class BulkActions(Endpoint):
    """`/runs/bulk`."""

    http_method_names = ["post"]
    permission_classes = needs("runs.view", "runs.retry")

    @operation(
        "Act on many runs",
        asks=BulkAsk,
        headers=[runs.KEY_HEADER],
        answers={202: _BULK, 200: _BULK},
        problems_too=[409],
    )
    def post(self, request: Request) -> Response:
        """Freeze the runs and begin: 202. A dry run, and a repetition under the same key, are 200."""
        asked = asking.body(request, BulkAsk)
        access.check(request, f"runs.{asked.action}")
        order = _order(asked)
        if asked.dry_run:
            return Response(_of_preview(previews.preview(order.asked), order))
        key = request.headers.get("Idempotency-Key")
        started = actions.start(order, actor=actor_of(request), key=key)
        headers = {"Location": f"/api/v1/bulk/{started.action.pk}"}
        if not started.created:
            headers["Idempotency-Replayed"] = "true"
        return Response(_shape(started.action), status=202 if started.created else 200, headers=headers)


class OneBulkAction(Endpoint):
    """`/bulk/ID`."""

    permission_classes = needs("runs.view")

    @operation("Show a bulk action", query=BulkPaged, answers={200: answer(BulkProgress)}, problems_too=[404])
    def get(self, request: Request, bulk_id: str) -> Response:
        """Show how far it is, and what became of each run."""
        asked = asking.query(request, BulkPaged)
        action = actions.get(bulk_id)
        after = pages.decode(asked.cursor, [int])[0] if asked.cursor else 0
        page = bulk_page.items(action, place=asked.outcome or "", after=after, limit=asked.limit)
        told = {
            "results": [_result(row) for row in page.rows],
            "next": pages.encode(page.after) if page.after else None,
        }
        return Response({**_shape(action), **told})


class _Move(Endpoint):
    """What the three addresses below share."""

    permission_classes = needs("runs.view", "runs.retry")
    move: Any

    def _moved(self, request: Request, bulk_id: str) -> Response:
        asked = asking.body(request, runs.Reason)
        access.check(request, f"runs.{actions.get(bulk_id).action}")
        return Response(_shape(type(self).move(bulk_id, actor=actor_of(request), reason=asked.reason)))


class PauseBulkAction(_Move):
    """`/bulk/ID/pause`."""

    move = staticmethod(actions.pause)

    @operation("Pause a bulk action", asks=runs.Reason, answers={200: _BULK}, problems_too=[404, 409])
    def post(self, request: Request, bulk_id: str) -> Response:
        """Touch no further run until it is resumed."""
        return self._moved(request, bulk_id)


class ResumeBulkAction(_Move):
    """`/bulk/ID/resume`."""

    move = staticmethod(actions.resume)

    @operation("Resume a bulk action", asks=runs.Reason, answers={200: _BULK}, problems_too=[404, 409])
    def post(self, request: Request, bulk_id: str) -> Response:
        """Go on with the runs that are left."""
        return self._moved(request, bulk_id)


class StopBulkAction(_Move):
    """`/bulk/ID/stop`."""

    move = staticmethod(actions.stop)

    @operation("Stop a bulk action", asks=runs.Reason, answers={200: _BULK}, problems_too=[404, 409])
    def post(self, request: Request, bulk_id: str) -> Response:
        """Touch no further run, for good. What was done stays done."""
        return self._moved(request, bulk_id)


def _order(asked: BulkAsk) -> actions.Order:
    now = timezone.now()
    rate = asked.rate if asked.rate is not None or asked.action != "retry" else actions.RETRY_RATE
    return actions.Order(
        asked=Asked(
            action=asked.action,
            selection=_selection(asked),
            frozen_at=min(asked.frozen_at or now, now),
            with_cancelled=asked.with_cancelled,
        ),
        reason=asked.reason,
        options=actions.Options(rate_per_s=rate, stop_above=asked.stop_above),
        expected=asked.expected,
    )


def _selection(asked: BulkAsk) -> Selection:
    if bool(asked.ids) == (asked.filter is not None):
        raise InvalidRequestError((Fault(path="ids", message="Give exactly one of `ids` and `filter`."),))
    if asked.filter is None:
        return selections.picked(list(asked.ids))
    chosen = asked.filter
    return Matching(
        RunFilter(
            text=chosen.q,
            workflow=chosen.workflow,
            states=chosen.state,
            since=chosen.since,
            until=chosen.until,
        )
    )


def _excluded(verdict: str, count: int) -> ExcludedShape:
    return ExcludedShape(why=verdict, count=count, message=previews.WHY[verdict][count != 1])


def _of_preview(found: Preview, order: actions.Order) -> BulkShape:
    asked = order.asked
    return BulkShape(
        id=None,
        action=asked.action,
        state=None,
        note="",
        reason=order.reason,
        selection=selections.as_json(asked.selection),
        frozen_at=asking.moment(asked.frozen_at) or "",
        matched=found.matched,
        total=found.applies,
        excluded=[_excluded(each.verdict, each.count) for each in found.excluded],
        groups=[
            {"class": each.error_class, "step": each.step, "message": each.message, "count": each.count}
            for each in found.groups
        ],
        cost_usd=shapes.money(found.cost_usd),
        rate=order.options.rate_per_s,
        stop_above=order.options.stop_above,
        with_cancelled=asked.with_cancelled,
        outcomes={},
        created_by=None,
        created_at=None,
        starts_at=None,
        ended_at=None,
        run=None,
    )


def _shape(action: BulkAction) -> BulkShape:
    told, options = action.preview, action.options
    return BulkShape(
        id=action.pk,
        action=action.action,  # type: ignore[typeddict-item]  # a constraint of the table
        state=action.state,  # type: ignore[typeddict-item]
        note=action.note,
        reason=action.reason,
        selection=action.selection,
        frozen_at=asking.moment(action.frozen_at) or "",
        matched=told["matched"],
        total=action.total,
        excluded=[_excluded(each["verdict"], each["count"]) for each in told["excluded"]],
        groups=[
            {
                "class": each["error_class"],
                "step": each["step"],
                "message": each["message"],
                "count": each["count"],
            }
            for each in told["groups"]
        ],
        cost_usd=shapes.money(Decimal(told["cost_usd"])) if told["cost_usd"] else None,
        rate=options["rate_per_s"],
        stop_above=options["stop_above"],
        with_cancelled=options["with_cancelled"],
        outcomes=bulk_page.places(action),
        created_by=action.created_by,
        created_at=asking.moment(action.created_at),
        starts_at=asking.moment(action.starts_at),
        ended_at=asking.moment(action.ended_at),
        run=action.run_id or None,
    )


def _result(row: bulk_page.ItemRow) -> BulkResult:
    return BulkResult(
        run=row.run_id,
        outcome=row.place,  # type: ignore[typeddict-item]  # one of PLACES
        state=row.state,  # type: ignore[typeddict-item]
        reason=row.reason,
        at=asking.moment(row.at),
    )
