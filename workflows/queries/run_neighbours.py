"""The runs before and after one in the list that somebody came from. Reads only."""

from __future__ import annotations

from django.db.models import Q

from workflows.models import Run
from workflows.queries.run_list import RunFilter, matching


def neighbours(chosen: RunFilter, run: Run) -> tuple[str | None, str | None]:
    """Return the ids of the next newer and the next older run that match."""
    newer = Q(created_at__gt=run.created_at) | Q(created_at=run.created_at, id__gt=run.id)
    older = Q(created_at__lt=run.created_at) | Q(created_at=run.created_at, id__lt=run.id)
    ids = matching(chosen).values_list("id", flat=True)
    return (
        ids.filter(newer, created_at__gte=run.created_at).order_by("created_at", "id").first(),
        ids.filter(older, created_at__lte=run.created_at).order_by("-created_at", "-id").first(),
    )
