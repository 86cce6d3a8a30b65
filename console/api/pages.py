"""Cursor pages: newest first, by one field and the primary key, so that nothing is skipped or seen twice."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from django.db.models import Model, Q, QuerySet

from console.api import asking
from console.api.errors import InvalidRequestError
from console.problems import Fault
from workflows.models import Payload

Row = TypeVar("Row", bound=Model)
Item = TypeVar("Item")

# A page ends early where the values in it would be larger than this together.
PAGE_BYTES: Final = 8 * 1024 * 1024
_MAX_INTEGER: Final = 2**63 - 1


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows and the cursor of the page after; None at the end."""

    rows: list[Row]
    next: str | None

    def as_json(self, shape: Callable[[Row], Item]) -> dict[str, Any]:
        """Write the page, each row by `shape`."""
        return {"results": [shape(row) for row in self.rows], "next": self.next}


def encode(*place: str | int) -> str:
    """Write down a place in a list, opaque to clients."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def decode(cursor: str, kinds: Sequence[type]) -> tuple[Any, ...]:
    """Read a place. Raises: InvalidRequestError for a cursor that this list did not make."""
    try:
        place = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise _foreign() from None
    if not isinstance(place, list) or [type(part) for part in place] != list(kinds):
        raise _foreign()
    if any(not _storable(part) for part in place):
        raise _foreign()
    return tuple(place)


def _storable(part: str | int) -> bool:
    if isinstance(part, int):
        return -_MAX_INTEGER <= part <= _MAX_INTEGER
    return "\0" not in part and part.isprintable()


def _foreign() -> InvalidRequestError:
    message = "This cursor was not made by this list. Start again without it."
    return InvalidRequestError((Fault(path="cursor", message=message),))


def by_number(
    rows: QuerySet[Row], *, cursor: str, limit: int, field: str = "pk", rising: bool = False
) -> Page[Row]:
    """Return a page ordered by one unique integer field, falling unless said."""
    if cursor:
        (place,) = decode(cursor, [int])
        rows = rows.filter(**{f"{field}__{'gt' if rising else 'lt'}": place})
    found = list(rows.order_by(field if rising else f"-{field}")[: limit + 1])
    name = "pk" if field == "pk" else field
    last = found[limit - 1] if len(found) > limit else None
    return Page(found[:limit], encode(getattr(last, name)) if last else None)


def by_time(
    rows: QuerySet[Row], *, cursor: str, limit: int, field: str = "created_at", key_type: type = str
) -> Page[Row]:
    """Return a page ordered by a time and the primary key, a text unless said, newest first."""
    if cursor:
        when, key = _moment_and_key(cursor, key_type)
        # The first condition alone is a range of the index; the second decides within one moment.
        rows = rows.filter(
            Q(**{f"{field}__lt": when}) | Q(**{field: when, "pk__lt": key}), **{f"{field}__lte": when}
        )
    found = list(rows.order_by(f"-{field}", "-pk")[: limit + 1])
    last = found[limit - 1] if len(found) > limit else None
    return Page(found[:limit], time_cursor(last, field) if last else None)


def time_cursor(row: Model, field: str = "created_at") -> str:
    """Return the cursor of the rows after one."""
    return encode(getattr(row, field).isoformat(), row.pk)


def _moment_and_key(cursor: str, key_type: type) -> tuple[datetime, str | int]:
    moment, key = decode(cursor, [str, key_type])
    try:
        when = datetime.fromisoformat(moment)
        if when.tzinfo is None:
            raise ValueError("without an offset")
        return asking.in_utc(when), key
    except ValueError:
        raise _foreign() from None


def fitting(hashes: Sequence[Iterable[bytes | memoryview | None]]) -> int:
    """Return how many of the rows, from the first, have values that fit into one answer; at least one."""
    wanted = {bytes(key) for row in hashes for key in row if key is not None}
    sizes = {
        bytes(key): size for key, size in Payload.objects.filter(hash__in=wanted).values_list("hash", "size")
    }
    total = 0
    for count, row in enumerate(hashes):
        total += sum(sizes.get(bytes(key), 0) for key in row if key is not None)
        if total > PAGE_BYTES:
            return max(count, 1)
    return len(hashes)
