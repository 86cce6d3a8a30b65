"""The audit log, newest first, page by page. Reads only: `workflows/audit.py` is its writer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q, QuerySet

from workflows.models import AuditEntry
from workflows.queries.run_list import CursorError, decode_cursor, encode_cursor

PAGE: Final = 50
_OFFERED: Final = 200  # actions and actors that the filters offer; others can be typed


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """Which entries; empty fields do not narrow."""

    actor: str = ""
    action: str = ""
    object_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    """One page, newest first, and the cursors of its neighbours."""

    rows: tuple[AuditEntry, ...]
    newer: str | None
    older: str | None


def matching(chosen: AuditFilter) -> QuerySet[AuditEntry]:
    """Return the entries that match, unordered. Every filter has an index."""
    given = {
        "actor": chosen.actor,
        "action": chosen.action,
        "at__gte": chosen.since,
        "at__lt": chosen.until,
    }
    entries = AuditEntry.objects.filter(**{name: value for name, value in given.items() if value})
    return entries.filter(_is_of(chosen.object_id)) if chosen.object_id else entries


def _is_of(name: str) -> Q:
    """The object itself, its versions (`triage@3`), and what is named below it (`support/production`)."""
    below = Q(object_id__startswith=f"{name}@") | Q(object_id__startswith=f"{name}/")
    return Q(object_id=name) | below


def page(chosen: AuditFilter, *, after: str = "", before: str = "", limit: int = PAGE) -> AuditPage:
    """Return one page: the newest, or the one after (older than) or before (newer than) a cursor.

    Raises: CursorError.
    """
    entries = matching(chosen)
    if before:
        moment, number = _place(before)
        newer = Q(at__gt=moment) | Q(at=moment, id__gt=number)
        found = list(entries.filter(newer, at__gte=moment).order_by("at", "id")[: limit + 1])
        more_newer, more_older = len(found) > limit, True
        found = found[:limit][::-1]
    else:
        if after:
            moment, number = _place(after)
            older = Q(at__lt=moment) | Q(at=moment, id__lt=number)
            entries = entries.filter(older, at__lte=moment)
        found = list(entries.order_by("-at", "-id")[: limit + 1])
        more_newer, more_older = bool(after), len(found) > limit
        found = found[:limit]
    if not found:
        return AuditPage(rows=(), newer=None, older=None)
    return AuditPage(
        rows=tuple(found),
        newer=_cursor(found[0]) if more_newer else None,
        older=_cursor(found[-1]) if more_older else None,
    )


def _cursor(entry: AuditEntry) -> str:
    return encode_cursor(entry.at, str(entry.pk))


def _place(cursor: str) -> tuple[datetime, int]:
    moment, number = decode_cursor(cursor)
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        raise CursorError("This cursor was not made by this list: start again without it.")
    return moment, int(number)


def actions() -> list[str]:
    """List the actions that were ever written down."""
    return _distinct("action")


def actors() -> list[str]:
    """List who ever did something."""
    return _distinct("actor")


def _distinct(field: str) -> list[str]:
    found = AuditEntry.objects.order_by(field).values_list(field, flat=True).distinct()
    return list(found[:_OFFERED])
