"""Search a snapshot of a corpus, as a `retrieve` step would. Nothing is recorded."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from retrieval import corpora
from retrieval import search as searching
from workflows.searching import embed_query


class Search(asking.Ask):
    """What to look for."""

    query: Annotated[str, Field(min_length=1, max_length=searching.MAX_QUERY, pattern=r"^[^\x00]*$")]
    top_k: int = Field(8, ge=1, le=searching.MAX_TOP_K)
    mode: Literal["hybrid", "vector", "text"] = "hybrid"
    index: Literal["auto", "exact"] = "auto"
    filter: dict[str, Any] | None = Field(None, description="Documents whose metadata contains this.")
    min_score: float | None = None
    snapshot: asking.Number | None = Field(None, description="Without it, the newest.")


class HitShape(TypedDict):
    """A passage; scores compare within one mode."""

    text: str
    document: str
    source: str
    score: float
    rank: int
    metadata: dict[str, Any]


class FoundShape(TypedDict):
    """Passages, best first, of one snapshot."""

    snapshot: int
    results: list[HitShape]


class SearchCorpus(Endpoint):
    """`/corpora/NAME/search`."""

    permission_classes = needs("corpora.view")

    @operation(
        "Search a corpus",
        asks=Search,
        answers={200: answer(FoundShape)},
        problems_too=[404, 409, 502, 504],
    )
    def post(self, request: Request, name: str) -> Response:
        """Find the passages that answer a query best."""
        asked = asking.body(request, Search)
        corpus = corpora.get(name)
        number = asked.snapshot or corpus.head
        # An empty corpus is said before any provider is asked.
        vector = embed_query(corpus.embedding, asked.query) if number and asked.mode != "text" else None
        result = searching.search(
            name,
            snapshot=number,
            query=asked.query,
            query_vector=vector,
            top_k=asked.top_k,
            mode=asked.mode,
            index=asked.index,
            filter=asked.filter,
            min_score=asked.min_score,
        )
        return Response(FoundShape(snapshot=result.snapshot, results=[_hit(hit) for hit in result.hits]))


def _hit(hit: searching.Hit) -> HitShape:
    return HitShape(
        text=hit.text,
        document=hit.document,
        source=hit.source,
        score=hit.score,
        rank=hit.rank,
        metadata=dict(hit.metadata),
    )
