"""One document of a corpus: its text with the passages that it was cut into, its history, who read it; removing it."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console.access import requires
from console.actors import actor_of
from console.drawing import passages
from console.views.corpora import find
from retrieval import documents
from retrieval.errors import RetrievalError
from retrieval.models import Corpus, Document, DocumentVersion
from workflows import curation
from workflows.queries import corpora as queries

_CHUNKS: Final = 100
_HISTORY: Final = 30
_REVISIONS: Final = 50


@requires("corpora.view")
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show a document at one of its revisions, by default the one in use."""
    corpus = find(name)
    document = document_of(corpus, request.GET.get("name", ""))
    revisions = list(documents.revisions(document)[:_REVISIONS])
    shown = _revision(document, revisions, request.GET.get("revision", ""))
    context = {
        "corpus": corpus,
        "document": document,
        "revisions": revisions,
        "shown": shown,
        "history": documents.history(document)[:_HISTORY],
        "readers": queries.readers(corpus.name, document.name),
        "read_by": queries.read_by(corpus.name, document.name),
        "here": urlencode({"name": document.name}),
        **(_text(request, shown) if shown else {}),
    }
    return render(request, "corpora/document.html", context)


def document_of(corpus: Corpus, name: str) -> Document:
    """Return the document that an address names. Raises: Http404."""
    try:
        return documents.get(corpus, name)
    except RetrievalError as problem:
        raise Http404(problem.message) from problem


def _revision(document: Document, revisions: list[DocumentVersion], asked: str) -> DocumentVersion | None:
    """Return the revision asked for, else the one at the head, else the newest; with its text."""
    if asked and not (asked.isdecimal() and len(asked) < len("1000000000")):
        raise Http404("A revision is a number.")
    number = int(asked) if asked else document.version.number if document.version else None
    if number is None:
        number = revisions[0].number if revisions else None
    if number is None:
        return None
    try:
        return documents.revision(document, number)
    except RetrievalError as problem:
        raise Http404(problem.message) from problem


def _text(request: HttpRequest, shown: DocumentVersion) -> dict[str, Any]:
    """Return the text around the passage asked for, and one page of the passages."""
    ordinal = _number(request.GET.get("passage", ""))
    chosen = documents.passages(shown, first=ordinal, limit=1) if ordinal is not None else ()
    start, stop = (chosen[0].start, chosen[0].stop) if chosen else (0, 0)
    text, low, high = passages.around(shown.text, start=start, stop=stop)
    first = _number(request.GET.get("chunk", "")) or 0
    chunks = documents.passages(shown, first=first, limit=_CHUNKS + 1)
    return {
        "text": text,
        "low": low,
        "high": high,
        "length": len(shown.text),
        "chosen": chosen[0] if chosen else None,
        "chunks": chunks[:_CHUNKS],
        "first_chunk": first,
        "next_chunk": chunks[_CHUNKS].ordinal if len(chunks) > _CHUNKS else None,
    }


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < len("1000000000") else None


@requires("corpora.view")
def text(request: HttpRequest, name: str) -> HttpResponse:
    """Send the whole text of a revision, as it was parsed."""
    corpus = find(name)
    document = document_of(corpus, request.GET.get("name", ""))
    shown = _revision(document, list(documents.revisions(document)[:1]), request.GET.get("revision", ""))
    if shown is None:
        raise Http404(f"Document {document.name[:80]!r} has no text: it could not be read.")
    return HttpResponse(shown.text.encode("utf-8", "replace"), content_type="text/plain; charset=utf-8")


@requires("corpora.ingest")
def remove(request: HttpRequest, name: str) -> HttpResponse:
    """Ask, then take a document out of the next snapshot."""
    corpus = find(name)
    document = document_of(corpus, request.GET.get("name", ""))
    if request.method != "POST":
        return _ask(request, corpus, document)
    reason = request.POST.get("reason", "").strip()[:1000]
    try:
        made = curation.remove_documents(corpus.name, [document.name], actor=actor_of(request), reason=reason)
    except RetrievalError as problem:
        return _ask(request, corpus, document, problem=problem.message, reason=reason)
    said = f"{document.name} is not in snapshot {made.number} any more." if made else _said(corpus, document)
    messages.success(request, said)
    address = reverse("corpus", args=[corpus.name])
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


def _said(corpus: Corpus, document: Document) -> str:
    if corpus.publish == Corpus.Publish.MANUAL and document.version_id:
        return f"{document.name} leaves with the draft, once that is published."
    return f"{document.name} is no longer listed."


def _ask(
    request: HttpRequest, corpus: Corpus, document: Document, *, problem: str = "", reason: str = ""
) -> HttpResponse:
    """Show what removing does: into the page's dialog, or as a page of its own without JavaScript."""
    part = "corpora/_remove.html"
    context = {
        "corpus": corpus,
        "document": document,
        "used_by": queries.used_by(corpus.name),
        "read_by": queries.read_by(corpus.name, document.name),
        "by_hand": corpus.publish == Corpus.Publish.MANUAL,
        "here": urlencode({"name": document.name}),
        "problem": problem,
        "reason": reason,
        "part": part,
        "title": f"Remove {document.name}",
    }
    template = part if request.headers.get("HX-Request") else "corpora/ask.html"
    return render(request, template, context, status=409 if problem else 200)
