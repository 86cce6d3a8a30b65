"""Exports of the runs list: first how many, then a file that is streamed in portions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from console.access import requires
from console.drawing import run_tables
from console.forms import run_chips, run_filter
from workflows.queries import run_export, run_totals
from workflows.queries.run_matching import RunFilter

_TYPES: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
_read = sync_to_async(run_export.portion)


@requires("runs.view")
def export(request: HttpRequest) -> HttpResponseBase:
    """Say how many runs match and offer the formats; with a format, send the file."""
    query, now = run_filter.parse(request.GET), timezone.now()
    chosen, wanted = query.filter(now), request.GET.get("format", "")
    if wanted not in _TYPES or query.problems:
        return _offer(request, query, chosen)
    answer = StreamingHttpResponse(_file(wanted, chosen, now), content_type=_TYPES[wanted])
    name = f"runs-{timezone.localtime(now):%Y-%m-%d-%H%M}.{wanted}"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "no-store"
    # Django compresses each portion as a file of its own, of which browsers read the first only.
    answer["Content-Encoding"] = "identity"
    return answer


def _offer(request: HttpRequest, query: run_filter.RunQuery, chosen: RunFilter) -> HttpResponse:
    count = run_totals.count(chosen)
    context = {
        "query": query,
        "parts": run_chips.parts(query),
        "count": min(count, run_totals.COUNT_LIMIT),
        "capped": count > run_totals.COUNT_LIMIT,
        "formats": [(key, query.address(format=key)) for key in _TYPES],
        "back": reverse("runs") + query.address(),
        "title": "Export runs",
        "part": "runs/_export.html",
        "fields": run_export.FIELDS,
    }
    template = "runs/_export.html" if request.headers.get("HX-Request") else "runs/ask.html"
    return render(request, template, context, status=422 if query.problems else 200)


async def _file(kind: str, chosen: RunFilter, frozen_at: datetime) -> AsyncIterator[str]:
    """Write the file, one portion of runs after the other."""
    yield run_tables.csv_head(run_export.FIELDS) if kind == "csv" else "[\n"
    place, first = None, True
    while place or first:
        records, place = await _read(chosen, frozen_at=frozen_at, after=place)
        yield run_tables.csv_rows(records) if kind == "csv" else run_tables.json_rows(records, first=first)
        first = False
    if kind == "json":
        yield "\n]\n"
