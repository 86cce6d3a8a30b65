"""What the pages and the API show of bulk actions: how far they are, and what became of each run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import Case, CharField, Count, F, OuterRef, Q, QuerySet, Subquery, Value, When

from workflows import payloads, states
from workflows.models import BulkAction, BulkItem, Run
from workflows.queries import run_list

PAGE: Final = 50
# What became of a run: not come to yet; refused; or, where it was done, how the run, or its fork, stands now.
PLACES: Final = ("succeeded", "cancelled", "failed", "going", "gone", "refused", "pending")
CHANGED: Final = "changed"


@dataclass(frozen=True, kw_only=True)
class ItemRow:
    """One run of an action. `place` is one of PLACES; `state` is None for a run that is gone.

    Of a fork: `made` is its run, and `changed` says what came out of it beside what was recorded; None: not ended.
    """

    id: int
    run_id: str
    title: str
    workflow: str
    state: str | None
    place: str
    reason: str
    at: datetime | None
    made: str = ""
    changed: Changed | None = None


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A fork beside its run: whether both gave the same, and the differences of cost (USD) and of time (seconds)."""

    same: bool
    cost_usd: Decimal | None
    duration_s: float | None


@dataclass(frozen=True, kw_only=True)
class ItemsPage:
    """One page of runs, and the ids between which its neighbours lie; None where there is none."""

    rows: tuple[ItemRow, ...]
    before: int | None
    after: int | None


def places(action: BulkAction) -> dict[str, int]:
    """Count the runs of an action by what became of them, in the order of PLACES; empty places are left out."""
    rows = placed(action).order_by().values("place").annotate(count=Count("pk"))
    found = {row["place"]: row["count"] for row in rows}
    return {place: found[place] for place in PLACES if place in found}


def placed(action: BulkAction) -> QuerySet[Any]:
    """Return the items of an action, each with the state of its run, or of its fork, and its place."""
    led = "made" if action.action == "fork" else "run_id"
    run_state = Run.objects.filter(pk=OuterRef(led)).values("state")[:1]
    return BulkItem.objects.filter(bulk=action).annotate(
        run_state=Subquery(run_state, output_field=CharField()), place=_PLACE
    )


_PLACE: Final = Case(
    When(~Q(outcome="done"), then=F("outcome")),
    When(run_state__isnull=True, then=Value("gone")),
    When(run_state__in=states.RUN_ENDED, then=F("run_state")),
    default=Value("going"),
    output_field=CharField(),
)


def items(
    action: BulkAction, *, place: str = "", after: int = 0, before: int = 0, limit: int = PAGE
) -> ItemsPage:
    """Return one page of an action's runs, in the order in which they are taken.

    `place` is one of PLACES, or CHANGED: the runs whose forks came to something else.
    """
    found = _compared(action).exclude(_ALIKE) if place == CHANGED else placed(action)
    if place and place != CHANGED:
        found = found.filter(place=place)
    if before:
        rows = list(found.filter(pk__lt=before).order_by("-pk")[: limit + 1])
        more_before, more_after = len(rows) > limit, True
        rows = rows[:limit][::-1]
    else:
        rows = list(found.filter(pk__gt=after).order_by("pk")[: limit + 1])
        more_before, more_after = after > 0, len(rows) > limit
        rows = rows[:limit]
    return ItemsPage(
        rows=_rows(rows),
        before=rows[0].pk if rows and more_before else None,
        after=rows[-1].pk if rows and more_after else None,
    )


def _rows(found: Sequence[Any]) -> tuple[ItemRow, ...]:
    ids = {item.run_id for item in found} | {item.made for item in found if item.made}
    runs = {run.pk: run for run in Run.objects.filter(pk__in=ids)}
    named = run_list.titles([runs[item.run_id] for item in found if item.run_id in runs])
    return tuple(
        ItemRow(
            id=item.pk,
            run_id=item.run_id,
            title=named.get(item.run_id, item.run_id),
            workflow=runs[item.run_id].workflow if item.run_id in runs else "",
            state=item.run_state,
            place=item.place,
            reason=item.reason or _error(runs.get(item.made or item.run_id), item.place),
            at=item.at,
            made=item.made if item.made in runs else "",
            changed=_changed(runs.get(item.run_id), runs.get(item.made)),
        )
        for item in found
    )


def _changed(run: Run | None, made: Run | None) -> Changed | None:
    if run is None or made is None or made.ended_at is None:
        return None
    lasted, lasts = _duration_s(run), _duration_s(made)
    priced = run.cost_usd is not None and made.cost_usd is not None
    return Changed(
        same=(run.state, payloads.name_of(run.output_hash))
        == (made.state, payloads.name_of(made.output_hash)),
        cost_usd=made.cost_usd - run.cost_usd if priced else None,  # type: ignore[operator]
        duration_s=lasts - lasted if lasted is not None and lasts is not None else None,
    )


def _duration_s(run: Run) -> float | None:
    if run.started_at is None or run.ended_at is None:
        return None
    return (run.ended_at - run.started_at).total_seconds()


def compared(action: BulkAction) -> tuple[int, int]:
    """Count the ended forks of an action: those that gave the same as their runs, and those that did not."""
    told = _compared(action).aggregate(all=Count("pk"), other=Count("pk", filter=~_ALIKE))
    return told["all"] - told["other"], told["other"]


def _compared(action: BulkAction) -> QuerySet[Any]:
    """Return the items whose fork has ended, each with what both runs came to."""
    run, made = Run.objects.filter(pk=OuterRef("run_id")), Run.objects.filter(pk=OuterRef("made"))
    found: QuerySet[Any] = (
        placed(action)
        .filter(outcome="done", run_state__in=states.RUN_ENDED)
        .annotate(
            was=Subquery(run.values("state")[:1]),
            before=Subquery(run.values("output_hash")[:1]),
            after=Subquery(made.values("output_hash")[:1]),
        )
        .filter(was__isnull=False)
    )
    return found


_ALIKE: Final = Q(was=F("run_state")) & (Q(before=F("after")) | Q(before__isnull=True, after__isnull=True))


def _error(run: Run | None, place: str) -> str:
    return str((run.error or {}).get("message", "")) if run is not None and place == "failed" else ""


def newest(*, before: tuple[datetime, str] | None = None, limit: int = PAGE) -> list[BulkAction]:
    """Return bulk actions, newest first, those after a place in the list where one is given."""
    found = BulkAction.objects.all()
    if before is not None:
        when, key = before
        found = found.filter(Q(created_at__lt=when) | Q(created_at=when, pk__lt=key), created_at__lte=when)
    return list(found.order_by("-created_at", "-id")[:limit])


def outcomes(actions: Sequence[BulkAction]) -> Mapping[str, Mapping[str, int]]:
    """Count the outcomes of several actions in one query."""
    rows = (
        BulkItem.objects.filter(bulk__in=[action.pk for action in actions])
        .order_by()
        .values("bulk", "outcome")
        .annotate(count=Count("pk"))
    )
    counted: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        counted[row["bulk"]][row["outcome"]] = row["count"]
    return counted
