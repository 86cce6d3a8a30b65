"""Bulk actions: preview, start, progress with per-run results, pause, resume, stop."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from console import access
from console.api import asking, bulk_shape, forks, pages, run_filters, runs
from console.api.auth import actor_of
from console.api.bulk_shape import Action, BulkList, BulkProgress, BulkShape, Place
from console.api.endpoint import Endpoint, needs
from console.api.errors import InvalidRequestError
from console.api.openapi import answer, operation
from console.problems import Fault
from workflows import quarantine
from workflows.bulk import actions, options, previews, selections
from workflows.bulk.changes import Change
from workflows.bulk.previews import Asked
from workflows.bulk.selections import Matching, Selection
from workflows.models import BulkAction
from workflows.queries import bulk_page


class BulkFilter(run_filters.Narrowing):
    """Which runs: as the parameters of `GET /runs`."""


class BulkFork(forks.ForkChange):
    """What is different in every fork of a bulk fork."""

    clean_of: asking.Number | None = Field(
        None,
        description="A quarantine: each run begins again at the first step that used what is quarantined.",
    )


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
    rate: Annotated[float, Field(ge=options.MIN_RATE, le=options.MAX_RATE)] | None = Field(
        None, description="Runs a second; a retry has 5 unless given."
    )
    at_once: Annotated[int, Field(ge=1, le=options.MAX_AT_ONCE)] | None = Field(
        None, description="How many of its runs may be going on at the same time."
    )
    canary: Annotated[int, Field(ge=0, le=options.MAX_CANARY)] = Field(
        0, description="So many runs go first; the rest follows once they have ended well."
    )
    stop_above: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="The share of its runs that fail again above which it stops by itself."
    )
    with_cancelled: bool = Field(False, description="Retry cancelled runs too, not only failed ones.")
    above: bool = Field(
        False, description="Of a retry: the run at the top, in place of each child run below a failed one."
    )
    release: Literal["own", "deployed"] = Field(
        "own", description="Of a retry: each run's own release, or the one that is live where it ran."
    )
    fork: BulkFork | None = Field(None, description="Of a fork: what is different in each.")


class BulkPaged(asking.Paged):
    """Which of the runs are shown."""

    outcome: Place | None = None


_BULK: Final = answer(BulkShape)
_PERMISSION: Final = {"retry": "runs.retry", "cancel": "runs.cancel", "fork": "runs.start"}


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
        access.check(request, _PERMISSION[asked.action])
        order = _order(asked)
        if asked.dry_run:
            return Response(bulk_shape.of_preview(previews.preview(order.asked), order))
        key = request.headers.get("Idempotency-Key")
        started = actions.start(order, actor=actor_of(request), key=key)
        headers = {"Location": f"/api/v1/bulk/{started.action.pk}"}
        if not started.created:
            headers["Idempotency-Replayed"] = "true"
        return Response(
            bulk_shape.of_action(started.action), status=202 if started.created else 200, headers=headers
        )


class BulkActionList(Endpoint):
    """`/bulk`."""

    http_method_names = ["get", "head"]
    permission_classes = needs("runs.view")

    @operation("List bulk actions", query=asking.Paged, answers={200: answer(BulkList)})
    def get(self, request: Request) -> Response:
        """List bulk actions, newest first, whoever started them."""
        asked = asking.query(request, asking.Paged)
        page = pages.by_time(BulkAction.objects.all(), cursor=asked.cursor, limit=asked.limit)
        outcomes = bulk_page.outcomes(page.rows)
        return Response(
            page.as_json(lambda action: bulk_shape.of_action(action, dict(outcomes.get(action.pk, {}))))
        )


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
            "results": [bulk_shape.result(row) for row in page.rows],
            "next": pages.encode(page.after) if page.after else None,
        }
        return Response({**bulk_shape.of_action(action), **told})


class _Move(Endpoint):
    """What the three addresses below share."""

    permission_classes = needs("runs.view", "runs.retry")
    move: Any

    def _moved(self, request: Request, bulk_id: str) -> Response:
        asked = asking.body(request, runs.Reason)
        access.check(request, _PERMISSION[actions.get(bulk_id).action])
        return Response(
            bulk_shape.of_action(type(self).move(bulk_id, actor=actor_of(request), reason=asked.reason))
        )


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
    rate = asked.rate if asked.rate is not None or asked.action != "retry" else options.RETRY_RATE
    return actions.Order(
        asked=Asked(
            action=asked.action,
            selection=_selection(asked),
            frozen_at=min(asked.frozen_at or now, now),
            with_cancelled=asked.with_cancelled,
            above=asked.above and asked.action == "retry",
            deployed=asked.release == "deployed",
            change=_change(asked),
        ),
        reason=asked.reason,
        options=options.Options(
            rate_per_s=rate, at_once=asked.at_once, canary=asked.canary, stop_above=asked.stop_above
        ),
        expected=asked.expected,
    )


def _change(asked: BulkAsk) -> Change | None:
    if asked.fork is None:
        return None
    ask = asked.fork.as_ask()
    if asked.fork.clean_of is not None:
        quarantine.get(asked.fork.clean_of)
    return Change(
        from_step=ask.from_step,
        overrides=ask.overrides,
        effects=ask.effects,
        clean_of=asked.fork.clean_of,
    )


def _selection(asked: BulkAsk) -> Selection:
    if bool(asked.ids) == (asked.filter is not None):
        raise InvalidRequestError((Fault(path="ids", message="Give exactly one of `ids` and `filter`."),))
    if asked.filter is None:
        return selections.picked(list(asked.ids))
    return Matching(run_filters.chosen(asked.filter))
