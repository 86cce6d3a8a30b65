"""Which runs a list shows, or a bulk action means: the same fields in an address and in a body. Shape only."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Final, Literal

from django.db.models import QuerySet
from pydantic import Field

from console.api import asking
from workflows.models import Run
from workflows.queries.run_matching import Bound, RunFilter, matching

_MOST: Final = 1_000_000_000
# A run's own state, what its steps make of it, or all that needs somebody.
ShownState = Literal[
    "queued",
    "running",
    "waiting",
    "paused",
    "succeeded",
    "failed",
    "cancelled",
    "unknown",
    "stuck",
    "attention",
]
Money = Annotated[Decimal, Field(ge=0, lt=_MOST, allow_inf_nan=False, strict=False)]
Tokens = Annotated[int, Field(ge=0, lt=_MOST)]
Seconds = Annotated[float, Field(ge=0, lt=_MOST, allow_inf_nan=False, strict=False)]
Limit = Decimal | int | float | None
When = Annotated[asking.Moment, Field(strict=False)]
_STATES_TOLD: Final = (
    "Any of these. `unknown` and `stuck` are runs with such a step; `attention` is `failed` and both of them."
)


class Narrowing(asking.Ask):
    """Conditions on runs; together they narrow. A bound leaves out runs of which the number is not known yet."""

    workflow: asking.Text | None = None
    environment: asking.Text | None = None
    state: Annotated[list[ShownState], Field(max_length=10, description=_STATES_TOLD)] | None = None
    release: asking.Number | None = Field(None, description="The release's number; with `workflow`.")
    session: asking.Text | None = None
    tag: Annotated[list[asking.Tag], Field(max_length=20, description="All of these.")] | None = None
    error: asking.Text | None = Field(None, description="The error's class, such as `timeout`.")
    taint: asking.Text | None = Field(
        None, pattern=r"^(any|\d{1,9})$", description="The id of a quarantine that holds, or `any`."
    )
    error_group: asking.Number | None = Field(None, description="Runs that stand failed in an error group.")
    cost_min: Money | None = Field(None, description="US dollars; runs that cost as much are included.")
    cost_max: Money | None = None
    tokens_min: Tokens | None = Field(None, description="Input and output together.")
    tokens_max: Tokens | None = None
    duration_min: Seconds | None = Field(None, description="From the first step to the end.")
    duration_max: Seconds | None = None
    since: When | None = None
    until: When | None = None
    q: asking.Text | None = Field(
        None,
        description="In the title, the session, the error, the name of an open step, or how the id begins.",
    )


class RunFilters(Narrowing, asking.Paged):
    """Filters of the list of runs, and a place in it."""


def chosen(asked: Narrowing) -> RunFilter:
    """Return what the conditions mean. An empty name is the name of nothing, not of everything."""
    states = asked.state or []
    exact = (asked.workflow, asked.environment, asked.session, asked.error)
    return RunFilter(
        text=asked.q or "",
        workflow=asked.workflow or "",
        environment=asked.environment or "",
        release=asked.release,
        states=tuple(sorted({state for state in states if state != "attention"})),
        attention="attention" in states,
        session=asked.session or "",
        tags=tuple(asked.tag or ()),
        error=asked.error or "",
        taint=asked.taint or "",
        group=asked.error_group,
        bounds=tuple(_bounds(asked)),
        since=asked.since,
        until=asked.until,
        nothing="" in exact,
    )


def apply(asked: Narrowing) -> QuerySet[Run]:
    """Return the runs that the filters leave, unordered."""
    return matching(chosen(asked))


def _bounds(asked: Narrowing) -> Iterator[Bound]:
    limits: tuple[tuple[Literal["cost", "tokens", "duration"], Limit, Limit], ...] = (
        ("cost", asked.cost_min, asked.cost_max),
        ("tokens", asked.tokens_min, asked.tokens_max),
        ("duration", asked.duration_min, asked.duration_max),
    )
    for of, least, most in limits:
        if least is not None:
            yield Bound(of=of, comparison="gte", amount=Decimal(str(least)))
        if most is not None:
            yield Bound(of=of, comparison="lte", amount=Decimal(str(most)))
