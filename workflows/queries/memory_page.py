"""What the memory pages show: keys, and one with its versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import OuterRef, Q, Subquery

from workflows.models import Environment, Memory, MemoryVersion

PAGE: Final = 100
FORKS: Final = "fork:"  # how the scopes of forks begin


@dataclass(frozen=True)
class Keys:
    """One page of keys, those changed last first; `after` is where the next one begins."""

    rows: tuple[Memory, ...]
    after: str


def keys(*, contains: str, environment: str, after: str) -> Keys:
    """Return keys of which something is remembered, or was. `after`: as `Keys.after` said.

    What forks wrote is theirs alone: it is listed only where `contains` asks for `fork:`.
    """
    last = MemoryVersion.objects.filter(memory=OuterRef("pk"), number=OuterRef("head"))
    found = Memory.objects.filter(head__gt=0).annotate(
        operation=Subquery(last.values("operation")[:1]), by=Subquery(last.values("actor")[:1])
    )
    if FORKS not in contains:
        found = found.exclude(scope__startswith=FORKS)
    if contains:
        found = found.filter(Q(key__icontains=contains) | Q(scope__icontains=contains))
    if environment:
        found = found.filter(environment_id=environment)
    if after.isdecimal():
        mark = Memory.objects.filter(pk=int(after)).first()
        if mark is not None:
            found = found.filter(
                Q(updated_at__lt=mark.updated_at) | Q(updated_at=mark.updated_at, pk__lt=mark.pk)
            )
    rows = list(found.order_by("-updated_at", "-pk")[: PAGE + 1])
    return Keys(tuple(rows[:PAGE]), str(rows[PAGE - 1].pk) if len(rows) > PAGE else "")


def environments() -> Sequence[str]:
    """Return the names of the environments."""
    return tuple(Environment.objects.order_by("pk").values_list("pk", flat=True))
