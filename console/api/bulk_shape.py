"""What the API shows of a bulk action: before it starts, while it goes on, and what became of each run."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any, Literal

from typing_extensions import TypedDict

from console.api import asking, shapes
from console.api.run_shape import State
from workflows.bulk import actions, options, previews, selections
from workflows.bulk.previews import Preview
from workflows.models import BulkAction
from workflows.queries import bulk_page

Action = Literal["retry", "cancel", "fork"]
BulkState = Literal["waiting", "running", "paused", "stopped", "finished"]
Place = Literal["succeeded", "cancelled", "failed", "going", "gone", "refused", "pending"]


class ExcludedShape(TypedDict):
    """Runs that match and are left out; `why` is a stable word, `message` says it."""

    why: str
    count: int
    message: str


GroupShape = TypedDict(
    "GroupShape", {"id": int | None, "class": str, "step": str, "message": str, "count": int}
)


class CallsShape(TypedDict):
    """Calls of a tool with an effect that are sent again, each under its first idempotency key."""

    tool: str
    effect: str
    count: int


class ProviderShape(TypedDict):
    """A provider that the runs will call: its limits a minute, what was sent in the last one, what a run sends it.

    `runs_per_second`: how many fit beside that; null without limits. `failing`: calls of the last 15 minutes that
    failed, where it answers badly now.
    """

    provider: str
    requests_per_minute: int | None
    tokens_per_minute: int | None
    requests_last_minute: int
    tokens_last_minute: int
    requests_per_run: float
    tokens_per_run: float
    runs_per_second: float | None
    failing: int


class OptionsShape(TypedDict):
    """How an action is carried out, and what is different in its runs."""

    rate: float | None
    at_once: int | None
    canary: int
    stop_above: float | None
    with_cancelled: bool
    above: bool
    release: Literal["own", "deployed"]
    fork: dict[str, Any] | None


class BulkShape(OptionsShape):
    """A bulk action; `id`, `state` and what follows from them are null in a dry run.

    `total` runs are meant of the `matched` ones. `outcomes` counts them by what became of them. `calls` and
    `providers`: what a dry run foresees; empty of an action.
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
    calls: list[CallsShape]
    providers: list[ProviderShape]
    cost_usd: str | None
    outcomes: dict[str, int]
    created_by: str | None
    created_at: str | None
    starts_at: str | None
    ended_at: str | None
    run: str | None


class BulkResult(TypedDict):
    """What became of one run."""

    run: str
    fork: str | None
    outcome: Place
    state: State | None
    reason: str
    at: str | None


class BulkList(TypedDict):
    """Bulk actions, newest first. Their `outcomes` are what was done with each run: done, refused or pending."""

    results: list[BulkShape]
    next: str | None


class BulkProgress(BulkShape):
    """A bulk action with one page of its runs, in the order in which they are taken."""

    results: list[BulkResult]
    next: str | None


def _excluded(verdict: str, count: int) -> ExcludedShape:
    return ExcludedShape(why=verdict, count=count, message=previews.WHY[verdict][count != 1])


def _group(told: dict[str, Any]) -> GroupShape:
    return {
        "id": told.get("id"),
        "class": told["error_class"],
        "step": told["step"],
        "message": told["message"],
        "count": told["count"],
    }


def _providers(found: Preview) -> list[ProviderShape]:
    failing = {each.provider: each.count for each in found.troubled}
    return [
        ProviderShape(
            provider=each.provider,
            requests_per_minute=each.limits.requests_per_minute,
            tokens_per_minute=each.limits.tokens_per_minute,
            requests_last_minute=each.requests,
            tokens_last_minute=each.tokens,
            requests_per_run=each.requests_per_run,
            tokens_per_run=each.tokens_per_run,
            runs_per_second=each.runs_per_s,
            failing=failing.get(each.provider, 0),
        )
        for each in found.headroom
    ]


def of_preview(found: Preview, order: actions.Order) -> BulkShape:
    """Return what a dry run says."""
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
        groups=[_group(asdict(each)) for each in found.groups],
        calls=[CallsShape(tool=each.tool, effect=each.effect, count=each.count) for each in found.calls],
        providers=_providers(found),
        cost_usd=shapes.money(found.cost_usd),
        **_options(order.as_options()),
        outcomes={},
        created_by=None,
        created_at=None,
        starts_at=None,
        ended_at=None,
        run=None,
    )


def of_action(action: BulkAction, outcomes: dict[str, int] | None = None) -> BulkShape:
    """Return an action; `outcomes`: its runs by what became of them, where they were counted already."""
    told = action.preview
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
        groups=[_group(each) for each in told["groups"]],
        calls=[],
        providers=[],
        cost_usd=shapes.money(Decimal(told["cost_usd"])) if told["cost_usd"] else None,
        **_options(action.options),
        outcomes=bulk_page.places(action) if outcomes is None else outcomes,
        created_by=action.created_by,
        created_at=asking.moment(action.created_at),
        starts_at=asking.moment(action.starts_at),
        ended_at=asking.moment(action.ended_at),
        run=action.run_id or None,
    )


def _options(written: dict[str, Any]) -> OptionsShape:
    found = options.of(written)
    return OptionsShape(
        rate=found.rate_per_s,
        at_once=found.at_once,
        canary=found.canary,
        stop_above=found.stop_above,
        with_cancelled=bool(written.get("with_cancelled")),
        above=bool(written.get("above")),
        release="deployed" if written.get("deployed") else "own",
        fork=written.get("change"),
    )


def result(row: bulk_page.ItemRow) -> BulkResult:
    """Return what became of one run."""
    return BulkResult(
        run=row.run_id,
        fork=row.made or None,
        outcome=row.place,  # type: ignore[typeddict-item]  # one of PLACES
        state=row.state,  # type: ignore[typeddict-item]
        reason=row.reason,
        at=asking.moment(row.at),
    )
