"""Corpora: the list, and one with its documents, its snapshots, and a search as a step would do it."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from console.access import requires
from providers.errors import ProviderError
from retrieval import corpora, search, snapshots
from retrieval.errors import RetrievalError
from retrieval.models import Corpus, Document
from workflows.searching import embed_query

_PAGE: Final = 50
_MODES: Final = ("hybrid", "vector", "text")
_TOP_K: Final = 8


@requires("corpora.view")
def index(request: HttpRequest) -> HttpResponse:
    """List the corpora with their newest snapshots."""
    return render(request, "corpora/list.html", {"rows": corpora.listed()})


@requires("corpora.view")
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show a corpus; with `q`, what a step would find there."""
    try:
        corpus = corpora.get(name.replace("\0", ""))
    except RetrievalError as problem:
        raise Http404(problem.message) from problem
    context = {
        "corpus": corpus,
        "stats": corpora.stats(corpus.name),
        "snapshots": snapshots.published(corpus.name)[:20],
        **_documents(request, corpus),
        **_found(request, corpus),
    }
    return render(request, "corpora/page.html", context)


def _documents(request: HttpRequest, corpus: Corpus) -> dict[str, Any]:
    """Return one page of the documents that the address asks for."""
    state = request.GET.get("state", "")
    state = state if state in Document.State.values else ""
    contains = request.GET.get("name", "").replace("\0", "").strip()[:200]
    after = request.GET.get("after", "").replace("\0", "")
    found = corpora.documents(corpus.name, state=state, contains=contains)
    if after:
        found = found.filter(name__gt=after)
    rows = list(found[: _PAGE + 1])
    kept = {"state": state, "name": contains}
    return {
        "documents": rows[:_PAGE],
        "state": state,
        "contains": contains,
        "states": Document.State.choices,
        "paged": bool(after),
        "older": _address({**kept, "after": rows[_PAGE - 1].name}) if len(rows) > _PAGE else "",
        "first": _address(kept),
    }


def _address(values: dict[str, str]) -> str:
    return "?" + urlencode({key: value for key, value in values.items() if value})


def _found(request: HttpRequest, corpus: Corpus) -> dict[str, Any]:
    """Search as a step would; what goes wrong is told in words at the box."""
    query = request.GET.get("q", "").strip()
    mode = request.GET.get("mode", "hybrid")
    mode = mode if mode in _MODES else "hybrid"
    asked = {"search_text": query, "mode": mode, "modes": _MODES}
    if not query:
        return asked
    if corpus.head is None:
        return {**asked, "problem": "This corpus has no published snapshot yet: ingest documents first."}
    try:
        vector = None if mode == "text" else embed_query(corpus.embedding, query)
        found = search.search(
            corpus.name, snapshot=corpus.head, query=query, query_vector=vector, top_k=_TOP_K, mode=mode
        )
    except (RetrievalError, ProviderError) as problem:
        return {**asked, "problem": problem.message}
    return {**asked, "found": found, "passages": found.hits}
