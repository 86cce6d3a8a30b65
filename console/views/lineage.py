"""Lineage: from a piece of state to the runs that used it, and on to what those runs left behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from console.access import requires
from console.forms import moments
from workflows import pieces
from workflows.errors import UnknownObject, WorkflowError
from workflows.pieces import Piece
from workflows.queries import lineage, run_list
from workflows.queries.lineage import User

# What people call each kind, in the order of the form.
WORDS: Final = {
    "document": "Document",
    "revision": "Revision of a document",
    "chunk": "Passage of a document",
    "snapshot": "Snapshot",
    "prompt": "Prompt",
    "tool": "Tool",
    "memory": "Memory",
    "release": "Release",
    "provider": "Provider",
    "model": "Model",
}
_TYPED: Final = ("kind", "name", "since", "until")


@dataclass(frozen=True)
class Link:
    """Something that a run left behind, and where it leads."""

    label: str
    address: str


@requires("runs.view")
def index(request: HttpRequest) -> HttpResponse:
    """Ask for a piece of state, and show who used it."""
    typed = {key: request.GET.get(key, "").strip()[:4000] for key in _TYPED}
    context: dict[str, Any] = {"typed": typed, "kinds": WORDS, "timed": sorted(pieces.TIMED)}
    if not typed["name"]:
        return render(request, "lineage/page.html", context)
    now = timezone.localtime()
    try:
        piece = pieces.find(
            Piece(
                kind=typed["kind"],
                name=typed["name"],
                since=moments.instant(typed["since"], now),
                until=moments.instant(typed["until"], now),
            )
        )
    except UnknownObject as problem:
        return render(request, "lineage/page.html", {**context, "problem": problem.message}, status=404)
    except (WorkflowError, ValueError) as problem:
        return render(request, "lineage/page.html", {**context, "problem": str(problem)}, status=422)
    return render(request, "lineage/page.html", {**context, **_found(request, piece, typed)})


def _found(request: HttpRequest, piece: Piece, typed: dict[str, str]) -> dict[str, Any]:
    after = request.GET.get("after", "")[:20].replace("\0", "")
    found = lineage.page(piece, after=after)
    titles = run_list.titles([user.run for user in found.rows])
    kept = {key: value for key, value in typed.items() if value}
    kind, name = lineage.quarantinable(piece)
    window = {key: typed[key] for key in ("since", "until") if typed[key]}
    return {
        "piece": piece,
        "word": WORDS[piece.kind],
        "home": home(piece),
        "totals": lineage.totals(piece),
        "quarantines": lineage.quarantines(piece),
        "quarantine": f"{reverse('quarantine-new')}?{urlencode({'kind': kind, 'ref': name, **window})}"
        if lineage.can_be_quarantined(piece)
        else "",
        "of_document": kind != piece.kind,
        "rows": [
            {"user": user, "title": titles[user.run.pk], "left": list(_left(user))} for user in found.rows
        ],
        "first": "?" + urlencode(kept) if after else "",
        "next": "?" + urlencode({**kept, "after": found.next}) if found.next else "",
        "most_steps": lineage.STEPS,
    }


def _left(user: User) -> Iterable[Link]:
    for name in user.left.memory:
        yield Link(name.partition("/")[2], address("memory", name))
    for name in user.left.tools:
        yield Link(name, address("tool", name))
    for run in user.left.runs:
        yield Link(run, reverse("run", args=[run]))


def address(kind: str, name: str, *, since: datetime | None = None, until: datetime | None = None) -> str:
    """Address the page of who used a piece of state, a provider in its window."""
    window = {key: moments.write(at) for key, at in (("since", since), ("until", until)) if at}
    return f"{reverse('lineage')}?{urlencode({'kind': kind, 'name': name, **window})}"


def home(piece: Piece) -> str:
    """Address the piece's own page; blank where it has none."""
    name, _, number = piece.name.rpartition("@")
    if piece.kind == "prompt":
        return f"{reverse('prompt', args=[name])}?version={number}"
    if piece.kind == "release":
        return f"{reverse('workflow', args=[name])}?tab=releases"
    if piece.kind == "snapshot":
        return reverse("corpus-snapshot", args=[name, int(number)])
    if piece.kind == "memory":
        environment, scope, key = name.split("/", 2)
        place = {"environment": environment, "scope": scope, "key": key, "version": number}
        return f"{reverse('memory-key')}?{urlencode(place)}"
    if piece.kind in ("document", "revision", "chunk"):
        return _document(piece)
    return ""


def _document(piece: Piece) -> str:
    corpus, _, document = piece.name.partition("/")
    asked = {"name": document}
    if piece.kind == "chunk":
        document, _, asked["passage"] = document.rpartition("#")
    if piece.kind != "document":
        asked["name"], _, asked["revision"] = document.rpartition("@")
    anchor = "#passage" if piece.kind == "chunk" else ""
    return f"{reverse('corpus-document', args=[corpus])}?{urlencode(asked)}{anchor}"
