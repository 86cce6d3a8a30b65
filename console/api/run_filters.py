"""Which runs a list shows. Shape and query only."""

from __future__ import annotations

from typing import Annotated

from django.db.models import Q, QuerySet
from pydantic import Field

from console.api import asking
from console.api.run_shape import State
from workflows.models import Run


class RunFilters(asking.Paged):
    """Filters of the list of runs; together they narrow."""

    workflow: asking.Text | None = None
    environment: asking.Text | None = None
    state: Annotated[list[State], Field(max_length=7, description="Any of these.")] | None = None
    release: asking.Number | None = Field(None, description="The release's number; with `workflow`.")
    session: asking.Text | None = None
    tag: Annotated[list[asking.Tag], Field(max_length=20, description="All of these.")] | None = None
    error: asking.Text | None = Field(None, description="The error's class, such as `timeout`.")
    since: asking.Moment | None = None
    until: asking.Moment | None = None
    q: asking.Text | None = Field(None, description="In the title or the error, or how the id begins.")


def apply(asked: RunFilters) -> QuerySet[Run]:
    """Return the runs that the filters leave, unordered."""
    runs = Run.objects.all()
    exact = {
        "workflow": asked.workflow,
        "environment_id": asked.environment,
        "release__number": asked.release,
        "session": asked.session,
        "error__class": asked.error,
        "created_at__gte": asked.since,
        "created_at__lt": asked.until,
        "tags__contains": asked.tag,
        "state__in": asked.state,
    }
    runs = runs.filter(**{field: value for field, value in exact.items() if value is not None})
    return runs.filter(_has_text(asked.q)) if asked.q else runs


def _has_text(text: str) -> Q:
    return (
        Q(id__startswith=text.lower())
        | Q(title__icontains=text)
        | Q(error__message__icontains=text)
        | Q(error__step__icontains=text)
    )
