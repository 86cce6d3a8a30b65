"""The address of the audit log as a filter. Shape only: what cannot be read does not narrow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils import timezone

from workflows import payloads
from workflows.queries.audit_log import AuditFilter

_FIELDS: Final = ("actor", "action", "object", "from", "to")
_CHARS: Final = 200


@dataclass(frozen=True)
class AuditQuery:
    """What the address asks for; days are those of who looks."""

    values: dict[str, str]
    after: str
    before: str

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out."""
        return any(self.values.values())

    def filter(self) -> AuditFilter:
        """Return it as the query understands it; `to` is the last day that is shown."""
        last = _day(self.values["to"])
        return AuditFilter(
            actor=self.values["actor"],
            action=self.values["action"],
            object_id=self.values["object"],
            since=_midnight(_day(self.values["from"])),
            until=_midnight(last + timedelta(days=1)) if last and last < date.max else None,
        )

    def address(self, **changed: str) -> str:
        """Write the same query with some parts changed; without a cursor unless one is given."""
        kept = {**self.values, **changed}
        return "?" + urlencode({name: value for name, value in kept.items() if value})


def parse(given: QueryDict) -> AuditQuery:
    """Read an address."""
    values = {name: payloads.clean_text(given.get(name, ""), limit=_CHARS).strip() for name in _FIELDS}
    for name in ("from", "to"):
        if _day(values[name]) is None:
            values[name] = ""
    return AuditQuery(values, given.get("after", ""), given.get("before", ""))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _midnight(day: date | None) -> datetime | None:
    return timezone.make_aware(datetime.combine(day, time.min)) if day and day > date.min else None
