"""The audit log: who changed what, when and why. Read only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console import formats
from console.access import requires
from console.forms import audit_filter
from workflows.models import AuditEntry
from workflows.queries import audit_log
from workflows.queries.run_list import CursorError

_OFFERS_EVERY_S: Final = 300
# Kinds of objects that have a page: its route, and what of the id it is called by.
_ROUTES: Final = {
    "run": "run",
    "bulk": "bulk",
    "Workflow": "workflow",
    "Prompt": "prompt",
    "Corpus": "corpus",
    "Schedule": "schedule",
    "Webhook": "webhook",
    "corpus": "corpus",
    "release": "workflow",
    "deployment": "workflow",
    "rollout": "rollout",
}


@dataclass(frozen=True)
class Row:
    """One entry as it is shown."""

    entry: AuditEntry
    href: str
    data: dict[str, object]

    @property
    def brief(self) -> str:
        """The data in one line."""
        return formats.printable(" · ".join(f"{key} {_short(value)}" for key, value in self.data.items()))


@requires("audit.view")
def index(request: HttpRequest) -> HttpResponse:
    """Show the entries that match the address."""
    query = audit_filter.parse(request.GET)
    try:
        page = audit_log.page(query.filter(), after=query.after, before=query.before)
    except CursorError:
        return HttpResponseRedirect(reverse("audit") + query.address())
    offers = cache.get_or_set("audit-offers", _offers, timeout=_OFFERS_EVERY_S)
    context = {
        "query": query.values,
        "narrowed": query.narrowed,
        "paged": bool(query.after or query.before),
        "rows": [_row(entry) for entry in page.rows],
        "newer": page.newer and query.address(before=page.newer),
        "older": page.older and query.address(after=page.older),
        "first": query.address(),
        **(offers or {}),
    }
    template = "audit/_results.html" if request.headers.get("HX-Request") else "audit/list.html"
    return render(request, template, context)


def _offers() -> dict[str, list[str]]:
    return {"actions": audit_log.actions(), "actors": audit_log.actors()}


def _row(entry: AuditEntry) -> Row:
    data = entry.data if isinstance(entry.data, dict) else {"data": entry.data}
    told = {key: value for key, value in data.items() if value not in (None, "", {}, [])}
    return Row(entry, _href(entry), told)


def _href(entry: AuditEntry) -> str:
    """Address the page of what was changed, where it has one."""
    route = _ROUTES.get(entry.object_kind)
    name = entry.object_id if entry.object_kind == "run" else entry.object_id.split("@")[0].split("/")[0]
    return reverse(route, args=[name]) if route and name else ""


def _short(value: object) -> str:
    text = "…" if isinstance(value, dict | list) else " ".join(str(value).split())
    if moment := _moment(text):
        return formats.instant(moment)
    return text if len(text) <= 60 else text[:59] + "…"


def _moment(text: str) -> datetime | None:
    """Read a moment as the log keeps it, with its offset; None for any other text."""
    if "T" not in text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
