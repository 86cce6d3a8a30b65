"""Sums over the runs that match a filter: totals, counts for the tabs, the histogram."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import (
    Aggregate,
    Case,
    Count,
    DurationField,
    F,
    Func,
    IntegerField,
    Q,
    QuerySet,
    Sum,
    TextField,
    Value,
    When,
)

from workflows import states
from workflows.models import Run
from workflows.queries.run_matching import HERE, RunFilter, matching, troubled_runs

COUNT_LIMIT: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over what matches; over the newest `COUNT_LIMIT` of it where `capped`."""

    runs: int
    failed: int
    p95_s: float | None
    cost_usd: Decimal | None
    by_state: dict[str, int]
    attention: int
    capped: bool


@dataclass(frozen=True)
class Bin:
    """One bar of the histogram."""

    start: datetime
    succeeded: int
    active: int
    failed: int


class _Percentile95(Aggregate):
    function = "percentile_disc"
    template = "percentile_disc(0.95) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = DurationField()


def totals(chosen: RunFilter) -> Totals:
    """Sum up what matches: all states for the tabs, the rest for the states that were chosen."""
    everything = replace(chosen, states=(), attention=False)
    counts = _newest(everything, COUNT_LIMIT + 1).aggregate(
        **{state: Count("id", filter=Q(state=state)) for state in states.RUN},
        failed_here=Count("id", filter=Q(state="failed") & HERE),
    )
    attention = counts.pop("failed_here")
    counted = {state: number for state, number in counts.items() if number}
    troubled = matching(everything).filter(HERE, id__in=troubled_runs()).exclude(state="failed")
    attention += troubled.count()
    sums = _newest(chosen, COUNT_LIMIT).aggregate(
        runs=Count("id"),
        failed=Count("id", filter=Q(state="failed")),
        spent=Sum("cost_usd"),
        p95=_Percentile95(F("ended_at") - F("started_at")),
    )
    return Totals(
        runs=sums["runs"],
        failed=sums["failed"],
        p95_s=sums["p95"].total_seconds() if sums["p95"] is not None else None,
        cost_usd=sums["spent"],
        by_state=counted,
        attention=attention,
        capped=sum(counted.values()) > COUNT_LIMIT,
    )


def _newest(chosen: RunFilter, limit: int) -> QuerySet[Run]:
    """Return the newest runs that match: an aggregate over this reads them once, without a look back at each."""
    return matching(chosen).order_by("-created_at", "-id")[:limit]


class _Epoch(Func):
    template = "extract(epoch from %(expressions)s)::bigint"
    output_field = IntegerField()


def histogram(chosen: RunFilter, *, since: datetime, until: datetime, bins: int) -> tuple[Bin, ...]:
    """Count the runs that match by when they were created, in `bins` equal stretches of time."""
    width = max((until - since) / bins, timedelta(seconds=1))
    start = int(since.timestamp())
    rows = (
        matching(chosen)
        .filter(created_at__gte=since, created_at__lt=until)
        .annotate(
            place=(_Epoch("created_at") - start) / int(width.total_seconds()),
            kind=Case(
                When(state="succeeded", then=Value("succeeded")),
                When(state__in=["failed"], then=Value("failed")),
                When(state="cancelled", then=Value("succeeded")),
                default=Value("active"),
                output_field=TextField(),
            ),
        )
        .order_by()
        .values_list("place", "kind")
        .annotate(Count("id"))
    )
    counts = {(min(max(place, 0), bins - 1), kind): number for place, kind, number in rows}
    return tuple(
        Bin(
            since + place * width,
            counts.get((place, "succeeded"), 0),
            counts.get((place, "active"), 0),
            counts.get((place, "failed"), 0),
        )
        for place in range(bins)
    )


def oldest(chosen: RunFilter) -> datetime | None:
    """Return when the oldest matching run was created."""
    return matching(chosen).order_by("created_at", "id").values_list("created_at", flat=True).first()


def count(chosen: RunFilter) -> int:
    """Count the runs that match, up to `COUNT_LIMIT` and one more."""
    return matching(chosen).order_by()[: COUNT_LIMIT + 1].count()
