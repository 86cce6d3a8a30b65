"""Snapshots of a corpus: what changed from one to another, going back to one, publishing a draft."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console.access import requires
from console.actors import actor_of
from console.drawing import text_diff
from console.views.corpora import find
from retrieval import documents, snapshots
from retrieval.errors import RetrievalError
from retrieval.models import Corpus, Snapshot
from retrieval.snapshots import DocumentDiff
from workflows import curation
from workflows.queries import corpora as queries

_PAGE: Final = 100
_CHOICES: Final = 50
_COMPARED: Final = 400_000  # characters of both texts
_KINDS: Final = ("added", "changed", "removed")


@requires("corpora.view")
def detail(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Show what a snapshot holds differently from another one, by default from the one before it."""
    corpus = find(name)
    snapshot = _snapshot(corpus, number)
    numbers = list(snapshots.published(corpus.name).values_list("number", flat=True)[:_CHOICES])
    other = _other(request, corpus, snapshot)
    found = snapshots.diff(other, snapshot) if other else ()
    kind, after = request.GET.get("kind", ""), request.GET.get("after", "")
    rows = [each for each in found if (not kind or each.kind == kind) and each.name > after]
    context = {
        "corpus": corpus,
        "snapshot": snapshot,
        "other": other,
        "numbers": numbers,
        "counts": [(each, sum(one.kind == each for one in found)) for each in _KINDS],
        "kind": kind if kind in _KINDS else "",
        "rows": rows[:_PAGE],
        "after": rows[_PAGE - 1].name if len(rows) > _PAGE else "",
        "unreadable": list(snapshots.changes(corpus.name, number).filter(action="failed")[:_PAGE]),
        **_compared(request, corpus, found),
    }
    return render(request, "corpora/snapshot.html", context)


def _snapshot(corpus: Corpus, number: int) -> Snapshot:
    try:
        return snapshots.get(corpus.name, number)
    except RetrievalError as problem:
        raise Http404(problem.message) from problem


def _other(request: HttpRequest, corpus: Corpus, snapshot: Snapshot) -> Snapshot | None:
    """Return the snapshot to compare with: the one asked for, else the newest before this one."""
    asked = request.GET.get("against", "")
    if asked.isdecimal() and len(asked) < len("1000000000"):
        return _snapshot(corpus, int(asked))
    published = snapshots.published(corpus.name).filter(state=Snapshot.State.PUBLISHED)
    return published.filter(number__lt=snapshot.number).first()


def _compared(request: HttpRequest, corpus: Corpus, found: tuple[DocumentDiff, ...]) -> dict[str, Any]:
    """Compare the texts of the document that the address names."""
    wanted = request.GET.get("document", "")
    chosen = next((each for each in found if each.name == wanted), None)
    if chosen is None:
        return {}
    versions = documents.versions(corpus, [chosen.version_before, chosen.version_after])
    before, after = (
        versions[key].text if key in versions else "" for key in (chosen.version_before, chosen.version_after)
    )
    split = request.GET.get("as") == "split"
    draw = text_diff.split if split else text_diff.unified
    too_large = len(before) + len(after) > _COMPARED
    comparison = "" if too_large else draw(before, after)
    return {"chosen": chosen, "split": split, "comparison": comparison}


@requires("corpora.publish")
def roll_back(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Ask, then publish a new snapshot equal to an older one."""
    corpus = find(name)
    target = _snapshot(corpus, number)
    if request.method != "POST":
        return _ask(request, corpus, "corpora/_roll_back.html", _reach(corpus, target))
    reason = _reason(request)
    if not reason:
        told = "Say why: it goes to the audit log."
        return _ask(request, corpus, "corpora/_roll_back.html", {**_reach(corpus, target), "problem": told})
    try:
        made = curation.roll_back(corpus.name, number, actor=actor_of(request), reason=reason)
    except RetrievalError as problem:
        told = problem.message
        asked = {**_reach(corpus, target), "problem": told, "reason": reason}
        return _ask(request, corpus, "corpora/_roll_back.html", asked)
    return _done(request, corpus, f"Snapshot {made.number} is published, equal to {number}.")


def _reach(corpus: Corpus, target: Snapshot) -> dict[str, Any]:
    """Say what going back to a snapshot changes."""
    head = _snapshot(corpus, corpus.head) if corpus.head else target
    found = snapshots.diff(head, target)
    return {
        "target": target,
        "head": head,
        "counts": [(kind, sum(one.kind == kind for one in found)) for kind in _KINDS],
        "draft": Snapshot.objects.filter(corpus=corpus, state=Snapshot.State.DRAFT).first(),
        "used_by": queries.used_by(corpus.name),
        "title": f"Roll back to snapshot {target.number}",
    }


@requires("corpora.publish")
def publish(request: HttpRequest, name: str) -> HttpResponse:
    """Ask, then publish the draft of a corpus that is published by hand."""
    corpus = find(name)
    part = "corpora/_publish.html"
    if request.method != "POST":
        return _ask(request, corpus, part, _draft(corpus))
    try:
        made = curation.publish(corpus.name, actor=actor_of(request), reason=_reason(request))
    except RetrievalError as problem:
        return _ask(request, corpus, part, {**_draft(corpus), "problem": problem.message})
    said = f"Snapshot {made.number} is published." if made else "The draft changed nothing; it was given up."
    return _done(request, corpus, said)


def _draft(corpus: Corpus) -> dict[str, Any]:
    draft = curation.open_draft(corpus)
    return {
        "draft": draft,
        "pending": curation.pending(corpus, draft) if draft else {},
        "used_by": queries.used_by(corpus.name),
        "title": "Publish the draft",
    }


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").strip()[:1000]


def _ask(request: HttpRequest, corpus: Corpus, part: str, reach: dict[str, Any]) -> HttpResponse:
    """Show the question: into the page's dialog, or as a page of its own without JavaScript."""
    template = part if request.headers.get("HX-Request") else "corpora/ask.html"
    context = {"corpus": corpus, "part": part, **reach}
    return render(request, template, context, status=409 if reach.get("problem") else 200)


def _done(request: HttpRequest, corpus: Corpus, said: str) -> HttpResponse:
    messages.success(request, said)
    address = reverse("corpus", args=[corpus.name]) + "?tab=snapshots"
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)
