"""Failed runs and the child runs below them: which one a retry acts on, and which ones go on with it. As queries."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from workflows.engine.again import AGAIN
from workflows.models import Run, StepRun

# The run that started it stands failed, too: a retry of that one leads it on, and not the other way round.
IS_BELOW: Final = Q(parent__isnull=False, parent__state__in=AGAIN)


def at_top(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Return these runs, but in place of each that is below a failed one the run at the top of it."""
    found, level = Q(pk__in=_ids(runs)), runs.filter(IS_BELOW)
    while level.exists():
        parents = Run.objects.filter(pk__in=level.order_by().values("parent_id"))
        found |= Q(pk__in=_ids(parents))
        level = parents.filter(IS_BELOW)
    return Run.objects.filter(found).exclude(IS_BELOW)


def led_on(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Return these runs with the child runs that go on with them when they are retried."""
    found, level = Q(pk__in=_ids(runs)), _below(runs)
    while level.exists():
        found |= Q(pk__in=_ids(level))
        level = _below(level)
    return Run.objects.filter(found)


def _below(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Return the newest child run of each step that goes on, where that has failed as well."""
    waits = StepRun.objects.filter(
        run_id=OuterRef("parent_id"), path=OuterRef("parent_path"), superseded=False, state__in=AGAIN
    )
    newer = Run.objects.filter(parent_id=OuterRef("parent_id"), parent_path=OuterRef("parent_path")).filter(
        Q(created_at__gt=OuterRef("created_at")) | Q(created_at=OuterRef("created_at"), pk__gt=OuterRef("pk"))
    )
    children = Run.objects.filter(parent_id__in=_ids(runs), state__in=AGAIN)
    return children.filter(Exists(waits), ~Exists(newer))


def _ids(runs: QuerySet[Run]) -> QuerySet[Run, Any]:
    return runs.order_by().values("pk")
