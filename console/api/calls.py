"""Provider calls of a run, with what was sent and what came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, pages, shapes
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from workflows import payloads, runs
from workflows.models import Call

CallError = TypedDict("CallError", {"class": str, "status": int | None, "message": str, "phase": str | None})


class Timing(TypedDict):
    """Milliseconds; null where it was not measured."""

    queue: float | None
    first_token: float | None
    total: float | None


class CallShape(TypedDict):
    """One request to a provider. Without `ended_at` its outcome is not known, nor its cost."""

    id: int
    step: str
    attempt: int
    provider: str
    model_requested: str
    model_returned: str | None
    request: Any
    response: Any
    finish_reason: str | None
    usage: dict[str, Any] | None
    cost_usd: str | None
    price_version: str | None
    timing_ms: Timing | None
    error: CallError | None
    started_at: str
    ended_at: str | None


class CallPage(TypedDict):
    """Calls, oldest first."""

    results: list[CallShape]
    next: str | None


class Calls(Endpoint):
    """`/runs/ID/calls`."""

    permission_classes = needs("runs.view")

    @operation(
        "List a run's provider calls",
        query=asking.Paged,
        answers={200: answer(CallPage)},
        problems_too=[404, 410],
    )
    def get(self, request: Request, run_id: str) -> Response:
        """List calls with full request and response, oldest first."""
        asked = asking.query(request, asking.Paged)
        run = runs.get(run_id)
        found = Call.objects.filter(run_id=run.id).select_related("step_run")
        page = pages.by_number(found, cursor=asked.cursor, limit=asked.limit, rising=True)
        fit = pages.fitting([(call.request_hash, call.response_hash) for call in page.rows])
        shown = page.rows[:fit]
        further = page.next if fit == len(page.rows) else pages.encode(shown[-1].pk)
        return Response({"results": _of_calls(shown, kept=run.archived_at is None), "next": further})


def _of_calls(calls: Sequence[Call], *, kept: bool) -> list[CallShape]:
    """Write calls; those of an archived run (`kept=False`) have no values."""
    keys = [key for call in calls for key in (call.request_hash, call.response_hash) if key]
    values = payloads.load(keys if kept else [])
    return [_shape(call, values) for call in calls]


def _shape(call: Call, values: Mapping[str, Any]) -> CallShape:
    return CallShape(
        id=call.pk,
        step=call.step_run.path,
        attempt=call.attempt,
        provider=call.provider,
        model_requested=call.model_requested,
        model_returned=call.model_returned or None,
        request=values.get(bytes(call.request_hash).hex()),
        response=values.get(bytes(call.response_hash).hex()) if call.response_hash else None,
        finish_reason=call.finish_reason or None,
        usage=call.usage,
        cost_usd=shapes.money(call.cost_usd),
        price_version=call.price_version or None,
        timing_ms=_timing(call.timing_ms),
        error=_error(call.error),
        started_at=asking.moment(call.started_at) or "",
        ended_at=asking.moment(call.ended_at),
    )


def _timing(found: dict[str, Any] | None) -> Timing | None:
    if found is None:
        return None
    return Timing(queue=found.get("queue"), first_token=found.get("first_token"), total=found.get("total"))


def _error(found: dict[str, Any] | None) -> CallError | None:
    if found is None:
        return None
    return {
        "class": str(found.get("class", "")),
        "status": found.get("status"),
        "message": str(found.get("message", "")),
        "phase": found.get("phase"),
    }
