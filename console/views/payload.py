"""Payloads of a run as its page shows them: small ones whole, of large ones the beginning, all of them as a file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from console.access import requires
from console.drawing import json_text
from workflows import payloads
from workflows.models import Run
from workflows.queries import run_page

_WHOLE: Final = 64 * 1024  # bytes that are shown at once
_CUT: Final = 8 * 1024  # of a longer value
_LOADED: Final = 4 * 1024 * 1024  # more than this a browser is given as a file only


@dataclass(frozen=True, kw_only=True)
class Block:
    """A payload as the page shows it."""

    text: SafeString | str = ""
    problem: str = ""
    size: int = 0
    cut: bool = False
    loads: bool = False
    address: str = ""
    present: bool = True


def block_of(run_id: str, key: bytes | memoryview | None) -> Block:
    """Draw a payload; of a long one the beginning, with the way to the rest. A broken store breaks nothing else."""
    if key is None:
        return Block(present=False)
    try:
        body, size = payloads.beginning(key, limit=_WHOLE + 1)
        cut = size > _WHOLE
        text = json_text.indent_part(body[:_CUT].decode("ascii", "replace")) if cut else _pretty(body)
    except payloads.PayloadMissing:
        return Block(problem=run_page.MISSING)
    except payloads.UNREADABLE:
        return Block(problem=run_page.DAMAGED)
    return Block(
        text=json_text.highlight(text),
        size=size,
        cut=cut,
        loads=size <= _LOADED,
        address=reverse("run-payload", args=[run_id, bytes(key).hex()]),
    )


def _pretty(body: bytes) -> str:
    return json_text.serialise(json_text.without_bulk(json.loads(body)))


@requires("runs.view")
def payload(request: HttpRequest, run_id: str, key: str) -> HttpResponse:
    """Give one payload of a run: as JSON, whole; with `?as=html` coloured, for the page; with `?as=file` to keep."""
    run = Run.objects.filter(id=run_id.replace("\0", "")).first()
    digest = bytes.fromhex(key) if re.fullmatch("[0-9a-f]{64}", key) else b""
    if run is None or not digest or not run_page.payload_belongs(run, digest):
        raise Http404("This run has no such payload.")
    value = run_page.value_of(digest)
    if value.problem:
        raise Http404(value.problem)
    form = request.GET.get("as")
    if form == "html":
        text = json_text.serialise(json_text.without_bulk(value.value))
        return HttpResponse(json_text.highlight(text), headers={"Cache-Control": "no-store"})
    answer = HttpResponse(payloads.canonical(value.value), content_type="application/json")
    kept = "attachment" if form == "file" else "inline"
    answer["Content-Disposition"] = f'{kept}; filename="{run.id}-{key[:12]}.json"'
    return answer
