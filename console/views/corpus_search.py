"""The search box of a corpus: what a step would get, with scores, places and times."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from django.http import HttpRequest

from console.drawing import passages
from providers.errors import ProviderError
from retrieval import documents, search, snapshots
from retrieval.errors import RetrievalError
from retrieval.models import Corpus
from workflows.searching import embed_query

_TOP_K: Final = 8
_MOST: Final = 50
_SNAPSHOTS: Final = 30


class _BadInput(Exception):
    """Something in the form cannot be meant."""


def found(request: HttpRequest, corpus: Corpus) -> dict[str, Any]:
    """Search as a step would; what goes wrong is told in words at the box, and what was typed stays."""
    asked = _asked(request)
    numbers = snapshots.published(corpus.name).values_list("number", flat=True)[:_SNAPSHOTS]
    shown = {**asked, "modes": search.MODES, "numbers": list(numbers)}
    if not asked["search_text"]:
        return shown
    if corpus.head is None:
        return {**shown, "problem": "This corpus has no published snapshot yet: ingest documents first."}
    try:
        return {**shown, **_result(corpus, asked)}
    except (RetrievalError, ProviderError) as problem:
        return {**shown, "problem": problem.message}
    except _BadInput as problem:
        return {**shown, "problem": str(problem)}


def _asked(request: HttpRequest) -> dict[str, Any]:
    mode = request.GET.get("mode", "hybrid")
    top_k, snapshot = request.GET.get("top_k", ""), request.GET.get("snapshot", "")
    return {
        "search_text": request.GET.get("q", "").strip(),
        "mode": mode if mode in search.MODES else "hybrid",
        "top_k": min(max(int(top_k), 1), _MOST) if top_k.isdecimal() and len(top_k) < 4 else _TOP_K,
        "snapshot": int(snapshot) if snapshot.isdecimal() and len(snapshot) < 10 else None,
        "filter_text": request.GET.get("filter", "").strip(),
    }


def _filter(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise _BadInput(f'The filter is not JSON: {problem}. Such as: {{"product": "x"}}') from None
    if not isinstance(value, dict):
        raise _BadInput('The filter has to be a JSON object of metadata, such as: {"product": "x"}')
    return value


def _result(corpus: Corpus, asked: dict[str, Any]) -> dict[str, Any]:
    wanted = _filter(asked["filter_text"])
    began = time.monotonic()
    vector = None if asked["mode"] == "text" else embed_query(corpus.embedding, asked["search_text"])
    embedded = time.monotonic()
    result = search.search(
        corpus.name,
        snapshot=asked["snapshot"] or corpus.head,
        query=asked["search_text"],
        query_vector=vector,
        top_k=asked["top_k"],
        mode=asked["mode"],
        filter=wanted,
    )
    searched = time.monotonic()
    places = documents.places(corpus.pk, [(hit.doc_version, hit.chunk_id) for hit in result.hits])
    revisions = documents.numbers_of(corpus, [hit.doc_version for hit in result.hits])
    rows = [
        {
            "hit": hit,
            "text": passages.marked(hit.text, asked["search_text"]),
            "place": places.get((hit.doc_version, hit.chunk_id)),
            "revision": revisions.get(hit.doc_version),
        }
        for hit in result.hits
    ]
    return {
        "result": result,
        "hits": rows,
        "embed_ms": None if vector is None else (embedded - began) * 1000,
        "search_ms": (searched - embedded) * 1000,
    }
