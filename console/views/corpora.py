"""Corpora: the list, and the page of one with its tabs. What a tab does not show is not read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console import formats
from console.access import requires
from console.views.corpus_search import found as search_found
from retrieval import corpora, documents, snapshots
from retrieval.errors import RetrievalError
from retrieval.models import Corpus, Document
from workflows import curation
from workflows.queries import corpora as queries
from workflows.queries import definitions
from workflows.queries.run_list import CursorError
from workflows.spec import writing

_PAGE: Final = 50
_FAILED_FIRST: Final = 10
_SNAPSHOTS: Final = 30
_QUIET: Final = (Document.State.FAILED, Document.State.REMOVED)


@requires("corpora.view")
def index(request: HttpRequest) -> HttpResponse:
    """List the corpora: what they hold, how their last ingest went, who searches them."""
    return render(request, "corpora/list.html", {"rows": queries.listed()})


@requires("corpora.view")
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show one tab of a corpus."""
    corpus = find(name)
    tab = request.GET.get("tab", "")
    tab = tab if tab in _TABS else ("search" if request.GET.get("q") else "documents")
    try:
        shown = _TABS[tab][1](request, corpus)
    except CursorError:
        return HttpResponseRedirect(reverse("corpus", args=[corpus.name]) + f"?tab={tab}")
    context = {
        "corpus": corpus,
        "stats": corpora.stats(corpus.name),
        "tab": tab,
        "tabs": [(key, label) for key, (label, _) in _TABS.items()],
        "template": f"corpora/_{tab}.html",
        "going_on": _going_on(corpus),
        **shown,
    }
    part = tab == "ingests" and request.headers.get("HX-Request")
    return render(request, "corpora/_ingests.html" if part else "corpora/page.html", context)


def find(name: str) -> Corpus:
    """Return the corpus that an address names. Raises: Http404."""
    try:
        return corpora.get(name.replace("\0", ""))
    except RetrievalError as problem:
        raise Http404(problem.message) from problem


def _going_on(corpus: Corpus) -> queries.Ingest | None:
    """Return the newest ingest if it has not ended."""
    newest, _ = queries.ingests(corpus.name, limit=1)
    return newest[0] if newest and not newest[0].ended else None


def _documents(request: HttpRequest, corpus: Corpus) -> dict[str, Any]:
    """Return one page of documents by name; those that could not be read stand before all others."""
    state = request.GET.get("state", "")
    state = state if state in Document.State.values else ""
    contains = request.GET.get("name", "").replace("\0", "").strip()[:200]
    after = request.GET.get("after", "").replace("\0", "")
    everything = corpora.documents(corpus.name, state=state, contains=contains)
    found = everything if state or contains else everything.exclude(state__in=_QUIET)
    rows = list((found.filter(name__gt=after) if after else found)[: _PAGE + 1])
    first = not (state or contains or after)
    kept = {"state": state, "name": contains}
    return {
        "documents": rows[:_PAGE],
        "unreadable": list(everything.filter(state=Document.State.FAILED)[:_FAILED_FIRST]) if first else [],
        "state": state,
        "contains": contains,
        "states": [(value, label.capitalize()) for value, label in Document.State.choices],
        "paged": bool(after),
        "older": _address({**kept, "after": rows[_PAGE - 1].name}) if len(rows) > _PAGE else "",
        "first": _address(kept),
    }


def _address(values: dict[str, str]) -> str:
    return "?" + urlencode({key: value for key, value in values.items() if value})


def _ingests(request: HttpRequest, corpus: Corpus) -> dict[str, Any]:
    rows, more = queries.ingests(corpus.name, after=request.GET.get("after", ""))
    sources = definitions.latest_body("Corpus", corpus.name).get("sources") or []
    return {
        "ingests": rows,
        "older": _address({"tab": "ingests", "after": more}) if more else "",
        "paged": bool(request.GET.get("after")),
        "poll": request.get_full_path() if any(not each.ended for each in rows) else "",
        "sources": [source.get("path", "") for source in sources if isinstance(source, dict)],
    }


def _snapshots(request: HttpRequest, corpus: Corpus) -> dict[str, Any]:
    """Return one page of snapshots with what each changed, and the draft that waits for a person."""
    asked = request.GET.get("before", "")
    found = snapshots.published(corpus.name)
    if asked.isdecimal() and len(asked) < 10:
        found = found.filter(number__lt=int(asked))
    rows = list(found[: _SNAPSHOTS + 1])
    more, rows = len(rows) > _SNAPSHOTS, rows[:_SNAPSHOTS]
    changes = documents.changes_of(corpus, [each.number for each in rows])
    draft = curation.open_draft(corpus)
    return {
        "rows": [(each, changes.get(each.number, documents.Changed())) for each in rows],
        "draft": draft,
        "pending": curation.pending(corpus, draft) if draft else {},
        "older": _address({"tab": "snapshots", "before": str(rows[-1].number)}) if more else "",
        "paged": bool(asked),
    }


def _search(request: HttpRequest, corpus: Corpus) -> dict[str, Any]:
    return search_found(request, corpus)


def _settings(request: HttpRequest, corpus: Corpus) -> dict[str, Any]:
    body = definitions.latest_body("Corpus", corpus.name)
    return {
        "body": formats.printable(writing.dump([body])) if body else "",
        "used_by": queries.used_by(corpus.name),
    }


_TABS: Final[dict[str, tuple[str, Callable[[HttpRequest, Corpus], dict[str, Any]]]]] = {
    "documents": ("Documents", _documents),
    "ingests": ("Ingests", _ingests),
    "snapshots": ("Snapshots", _snapshots),
    "search": ("Search", _search),
    "settings": ("Settings", _settings),
}
