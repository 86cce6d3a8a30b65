"""Which columns of the runs list a browser shows: one cookie. Reads the request only, never the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase

COOKIE: Final = "columns"
_YEAR_S: Final = 365 * 24 * 3600


@dataclass(frozen=True)
class Column:
    """A column that can be left out; the run's title cannot."""

    key: str
    label: str
    at_first: bool = True


COLUMNS: Final = (
    Column("state", "State"),
    Column("id", "Id"),
    Column("workflow", "Workflow and release"),
    Column("environment", "Environment", at_first=False),
    Column("session", "Session", at_first=False),
    Column("tags", "Tags", at_first=False),
    Column("progress", "Progress, error or result"),
    Column("by", "Started by", at_first=False),
    Column("created", "Created"),
    Column("duration", "Duration"),
    Column("tokens", "Tokens"),
    Column("cost", "Cost"),
)
_AT_FIRST: Final = frozenset(column.key for column in COLUMNS if column.at_first)


def read(request: HttpRequest) -> frozenset[str]:
    """Return the keys of the columns that are shown."""
    kept = request.COOKIES.get(COOKIE)
    if kept is None:
        return _AT_FIRST
    return frozenset(kept.split(".")) & {column.key for column in COLUMNS}


def write(request: HttpRequest, response: HttpResponseBase, chosen: Collection[str]) -> None:
    """Keep which columns are shown; those of the start need no cookie."""
    known = [column.key for column in COLUMNS if column.key in chosen]
    if frozenset(known) == _AT_FIRST:
        response.delete_cookie(COOKIE, samesite="Lax")
        return
    response.set_cookie(
        COOKIE, ".".join(known), max_age=_YEAR_S, samesite="Lax", secure=request.is_secure(), httponly=True
    )
