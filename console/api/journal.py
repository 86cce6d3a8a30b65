"""A run's events, in causal order. A client that follows with `?after=` misses none."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, pages
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from workflows import runs
from workflows.models import JournalEvent

# Younger than any transaction of the engine lives.
_SETTLED_AFTER_S: Final = 10


class EventShape(TypedDict):
    """`n` counts from 1 without a gap within (step, epoch), and within the run's own events."""

    seq: int
    type: str
    at: str
    step: str | None
    epoch: int | None
    attempt: int | None
    n: int
    data: dict[str, Any]


class EventPage(TypedDict):
    """Events, oldest first."""

    results: list[EventShape]
    next: str | None


class JournalPlace(asking.Paged):
    """From where to read on."""

    after: int = Field(0, ge=0, le=2**63 - 1, description="Only events with a larger `seq`.")


class Journal(Endpoint):
    """`/runs/ID/journal`."""

    permission_classes = needs("runs.view")

    @operation(
        "Read a run's journal", query=JournalPlace, answers={200: answer(EventPage)}, problems_too=[404]
    )
    def get(self, request: Request, run_id: str) -> Response:
        """Read events in order; ask again with `?after=` the last `seq` to follow a run."""
        asked = asking.query(request, JournalPlace)
        found = settled(JournalEvent.objects.filter(run_id=runs.get(run_id).id, seq__gt=asked.after))
        page = pages.by_number(found, cursor=asked.cursor, limit=asked.limit, field="seq", rising=True)
        return Response(page.as_json(_shape))


def settled(events: QuerySet[JournalEvent]) -> QuerySet[JournalEvent]:
    """Leave out events that one with a smaller `seq` may still come before.

    `seq` is given when an event is written and seen when it is committed. An event is shown once every
    transaction that was writing at that time has ended, at most ten seconds later.
    """
    horizon = oldest_writer()
    return events.filter(at__lt=horizon) if horizon is not None else events


def oldest_writer() -> datetime | None:
    """Return when the oldest transaction that may yet commit events began; None where no one is writing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT greatest(min(xact_start), clock_timestamp() - make_interval(secs => %s))"
            " FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
            " HAVING count(*) > 0",
            [_SETTLED_AFTER_S],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def _shape(event: JournalEvent) -> EventShape:
    return EventShape(
        seq=event.seq,
        type=event.type,
        at=asking.moment(event.at) or "",
        step=event.step,
        epoch=event.epoch,
        attempt=event.attempt,
        n=event.n,
        data=event.data,
    )
