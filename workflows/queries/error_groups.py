"""Groups of failures for lists and pages: how many runs stand failed now, and when they failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, TruncHour
from django.utils import timezone

from workflows.models import ErrorGroup, ErrorSighting, Run

PAGE: Final = 50
HOURS: Final = 24
# A group that was first seen, or came back, within this time stands out.
NEW: Final = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A group; `failed`: runs in it that stand failed now; `hours`: failures in each of the last HOURS hours.

    `words`: what its newest failure said, or what all of them have in common where that one stands failed no more.
    """

    group: ErrorGroup
    failed: int
    hours: tuple[int, ...]
    words: str

    @property
    def is_new(self) -> bool:
        """Whether it was first seen a short time ago."""
        first = self.group.first_seen
        return first is not None and timezone.now() - first < NEW

    @property
    def came_back(self) -> bool:
        """Whether it was resolved, and was seen again a short time ago."""
        back = self.group.came_back_at
        return back is not None and timezone.now() - back < NEW


def groups(*, state: str = "open", workflow: str = "", assigned_to: str = "") -> QuerySet[ErrorGroup]:
    """Return groups that were seen, unordered; empty texts do not narrow."""
    found = ErrorGroup.objects.filter(last_seen__isnull=False)
    for field, value in (("state", state), ("workflow", workflow), ("assigned_to", assigned_to)):
        if value:
            found = found.filter(**{field: value})
    return found


def newest(
    found: QuerySet[ErrorGroup], *, before: tuple[datetime, int] | None = None, limit: int = PAGE
) -> list[ErrorGroup]:
    """Return groups, the last seen first, those after a place in the list where one is given."""
    if before is not None:
        when, pk = before
        found = found.filter(Q(last_seen__lt=when) | Q(last_seen=when, pk__lt=pk))
    return list(found.order_by("-last_seen", "-id")[:limit])


def shown(groups: Sequence[ErrorGroup]) -> list[Shown]:
    """Add the figures of a page of groups, in three queries."""
    failed, hours = _failed(groups), _hours(groups)
    said = words({group.newest_run: group.pk for group in groups if group.newest_run})
    return [
        Shown(
            group=group,
            failed=failed.get(group.pk, 0),
            hours=hours.get(group.pk, (0,) * HOURS),
            words=said.get(group.pk) or group.message,
        )
        for group in groups
    ]


def words(newest: Mapping[str, int]) -> Mapping[int, str]:
    """Return by group what its newest run failed with; `newest` maps runs to groups.

    A group's own text has a `#` for each number. One whose newest run does not stand failed in it any more is left out.
    """
    rows = Run.objects.filter(pk__in=newest).values_list("pk", "error_group", "error__message")
    return {
        newest[pk]: message for pk, group, message in rows if group == newest[pk] and isinstance(message, str)
    }


def _failed(groups: Sequence[ErrorGroup]) -> Mapping[int, int]:
    standing = (
        Run.objects.filter(error_group=OuterRef("pk"))
        .order_by()
        .values("error_group")
        .annotate(count=Count("pk"))
        .values("count")
    )
    rows = ErrorGroup.objects.filter(pk__in=[group.pk for group in groups]).annotate(
        failed=Coalesce(Subquery(standing, output_field=IntegerField()), 0)
    )
    return dict(rows.values_list("pk", "failed"))


def _hours(groups: Sequence[ErrorGroup]) -> dict[int, tuple[int, ...]]:
    """Count the failures of the last HOURS hours, the oldest hour first."""
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    first = now - timedelta(hours=HOURS - 1)
    rows: QuerySet[ErrorSighting, Any] = (
        ErrorSighting.objects.filter(group__in=[group.pk for group in groups], at__gte=first)
        .order_by()
        .annotate(hour=TruncHour("at"))
        .values_list("group", "hour")
        .annotate(count=Count("pk"))
    )
    found: dict[int, list[int]] = {}
    for pk, hour, count in rows:
        place = int((hour - first).total_seconds() // 3600)
        if 0 <= place < HOURS:
            found.setdefault(pk, [0] * HOURS)[place] += count
    return {pk: tuple(counts) for pk, counts in found.items()}


def sample(group: ErrorGroup, limit: int = 5) -> list[Run]:
    """Return the newest runs that stand failed in a group."""
    return list(Run.objects.filter(error_group=group).order_by("-created_at", "-id")[:limit])


def failed_by_release(group: ErrorGroup) -> Mapping[int, int]:
    """Count the runs that stand failed by the number of their release."""
    rows = Run.objects.filter(error_group=group).order_by().values(number=F("release__number"))
    return dict(rows.annotate(count=Count("pk")).values_list("number", "count"))
