"""Search one snapshot of a corpus, and record what was found.

May not embed (the caller hands in the query's vector) and may not look at any state but the snapshot named
and the quarantine in force. The same arguments give the same chunks in the same order, on every worker, as
long as the index used is exact.

Scores of hits, higher is better: `vector` the cosine similarity, -1 to 1; `text` Postgres' ts_rank, 0 to 1;
`hybrid` the share of the best possible fused rank, above 0, up to 1. They compare within one mode only.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from retrieval import corpora, embedding, partitions, ranking, rankings, snapshots
from retrieval import models as tables
from retrieval.errors import RetrievalError
from retrieval.ranking import Ranked
from retrieval.rankings import Candidate, Scope

MODES: Final = ("hybrid", "vector", "text")
INDEXES: Final = ("auto", "exact")
MAX_TOP_K: Final = 200
MAX_QUERY: Final = 20_000
MAX_FILTER: Final = 16_384
# Up to here an exact scan takes about 30 ms or less.
EXACT_LIMIT: Final = 50_000
# How deep each ranking goes before they are fused and cut.
CANDIDATES: Final = 50


@dataclass(frozen=True)
class Hit:
    """A passage that answers a query. `doc_version` is the id of the document version it stands in.

    A text that several documents share is one hit, of the oldest version.
    """

    chunk_id: int
    text: str
    document: str
    source: str
    doc_version: int
    score: float
    rank: int
    metadata: Mapping[str, object]


@dataclass(frozen=True)
class SearchResult:
    """The answer, with what it was answered from. `index` is what was used: `exact` or `hnsw`.

    `result_sha` covers corpus, snapshot, chunks and versions in order, not the scores, whose last digits
    differ between processors.
    """

    corpus: str
    snapshot: int
    quarantine_epoch: int
    mode: str
    index: str
    hits: tuple[Hit, ...]
    result_sha: str


def search(
    corpus: str,
    *,
    snapshot: int | None,
    query: str,
    query_vector: NDArray[np.float32] | None = None,
    top_k: int = 8,
    mode: str = "hybrid",
    index: str = "auto",
    filter: Mapping[str, object] | None = None,
    min_score: float | None = None,
) -> SearchResult:
    """Find the `top_k` best passages of a published snapshot; `query_vector` is `(dims,) float32`.

    `filter` keeps documents whose metadata contains it (every key, nested too). `index: auto` is exact up to
    50,000 chunks, then HNSW with an exact re-sort, and exact again where a filter leaves few chunks.

    Raises: RetrievalError `unknown_corpus`, `corpus_empty`, `unknown_snapshot`, `snapshot_not_published`,
    `wrong_dimensions`, `wrong_embedding`, `query_needed`, `bad_query`, `bad_filter`.
    """
    _check(mode=mode, index=index, top_k=top_k, min_score=min_score)
    scope = _scope(corpus, snapshot, filter)
    wanted = max(CANDIDATES, top_k)
    by_vector: list[Candidate] = []
    by_text: list[Candidate] = []
    used = "exact"
    if mode != "text":
        vector = _vector(corpus, query_vector, scope.dims)
        used, by_vector = _by_vector(scope, vector, index=index, wanted=wanted)
    if mode != "vector":
        words = _clean(query)[:MAX_QUERY]
        by_text = _distinct(lambda limit: rankings.text(scope, query=words, limit=limit), wanted)
    ranked = _ranked(mode, by_vector, by_text)
    kept = [one for one in ranked if min_score is None or one.score >= min_score][:top_k]
    hits = _hits(scope, kept, (*by_vector, *by_text))
    sha = _result_sha(corpus, scope.snapshot, hits)
    return SearchResult(corpus, scope.snapshot, scope.quarantine_epoch, mode, used, hits, sha)


def record(
    result: SearchResult,
    *,
    run: str,
    step: str,
    attempt: int,
    query: str,
    params: Mapping[str, Any],
    epoch: int = 1,
) -> None:
    """Write down what was retrieved, once per run, step, epoch and attempt."""
    with transaction.atomic():
        row = tables.Retrieval(
            corpus=corpora.get(result.corpus),
            snapshot=result.snapshot,
            quarantine_epoch=result.quarantine_epoch,
            run=run,
            step=step,
            epoch=epoch,
            attempt=attempt,
            query=_clean(query),
            params=_clean_json(params),
            mode=result.mode,
            index=result.index,
            result_sha=result.result_sha,
        )
        tables.Retrieval.objects.bulk_create([row], ignore_conflicts=True)
        same = tables.Retrieval.objects.get(run=run, step=step, epoch=epoch, attempt=attempt)
        hits = [_hit_row(same, hit) for hit in result.hits]
        tables.Hit.objects.bulk_create(hits, ignore_conflicts=True)


def _hit_row(retrieval: tables.Retrieval, hit: Hit) -> tables.Hit:
    return tables.Hit(
        retrieval=retrieval,
        rank=hit.rank,
        chunk_id=hit.chunk_id,
        doc_version_id=hit.doc_version,
        score=hit.score,
    )


def ef_for(chunks: int) -> int:
    """Return the breadth of an HNSW search for recall 0.98: 200 at 100,000 chunks, 500 at 500,000."""
    return max(100, min(rankings.MAX_EF, round(200 * math.pow(chunks / 100_000, 0.57))))


def _check(*, mode: str, index: str, top_k: int, min_score: float | None) -> None:
    faults = []
    if mode not in MODES:
        faults.append(f"mode is {mode!r}; {', '.join(MODES)} are expected")
    if index not in INDEXES:
        faults.append(f"index is {index!r}; {', '.join(INDEXES)} are expected")
    if not 1 <= top_k <= MAX_TOP_K:
        faults.append(f"top_k is {top_k}; 1 to {MAX_TOP_K} are possible")
    if min_score is not None and not math.isfinite(min_score):
        faults.append("min_score is not a number")
    if faults:
        raise RetrievalError("bad_query", f"The search cannot be done: {'; '.join(faults)}.")


def _scope(corpus: str, snapshot: int | None, wanted: Mapping[str, object] | None) -> Scope:
    row = rankings.resolve(corpus, snapshot or 0)
    if row is None:
        corpora.get(corpus)
        raise RuntimeError(f"Corpus {corpus!r} appeared during the search.")
    corpus_id, dims, head, epoch, state, chunks, quarantined = row
    if head is None:
        raise RetrievalError(
            "corpus_empty",
            f"Corpus {corpus!r} has no published snapshot yet: ingest documents into it, then publish.",
        )
    if snapshot is None or state is None:
        raise snapshots.unknown(corpus, snapshot or 0, head)
    if state != tables.Snapshot.State.PUBLISHED:
        raise snapshots.not_published(corpus, snapshot, state)
    return Scope(corpus_id, dims, snapshot, epoch, chunks, tuple(quarantined), _filter_json(wanted))


def _filter_json(wanted: Mapping[str, object] | None) -> str | None:
    if not wanted:
        return None
    try:
        text = json.dumps(wanted, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise RetrievalError("bad_filter", f"The filter is not JSON: {error}.") from error
    if size > MAX_FILTER or "\\u0000" in text or not isinstance(wanted, Mapping):
        raise RetrievalError(
            "bad_filter",
            f"A filter is an object of metadata fields and their values, of at most {MAX_FILTER:,} bytes "
            "and without NUL characters.",
        )
    return text


def _vector(corpus: str, vector: NDArray[np.float32] | None, dims: int) -> NDArray[np.float32]:
    if vector is None:
        raise RetrievalError(
            "query_needed", "The modes vector and hybrid need the query's vector; mode text does without."
        )
    array = np.asarray(vector, dtype=np.float32)
    if array.shape != (dims,):
        raise RetrievalError(
            "wrong_dimensions",
            f"The query's vector has the shape {array.shape}; corpus {corpus!r} holds vectors of {dims}. "
            "Embed the query with the model of the corpus.",
        )
    unit: NDArray[np.float32] = embedding.checked(array[None, :], count=1, dims=dims, model="The embedder")[0]
    return unit


def _by_vector(
    scope: Scope, vector: NDArray[np.float32], *, index: str, wanted: int
) -> tuple[str, list[Candidate]]:
    """Rank by vector; return what was used, too. An index that answers short is not trusted."""
    if not vector.any():  # no known word in the query: nothing is near to it
        return "exact", []
    text = embedding.literal(vector)
    if index == "auto" and _index_pays(scope):
        ef = ef_for(scope.chunks)
        found = _distinct(lambda limit: rankings.indexed(scope, vector=text, limit=limit, ef=ef), wanted)
        if len(found) == wanted:
            return "hnsw", found
    return "exact", _distinct(lambda limit: rankings.exact(scope, vector=text, limit=limit), wanted)


def _index_pays(scope: Scope) -> bool:
    if scope.chunks <= EXACT_LIMIT or scope.dims > partitions.MAX_INDEXED_DIMS:
        return False
    return scope.filter is None or rankings.count(scope, limit=EXACT_LIMIT + 1) > EXACT_LIMIT


def _distinct(fetch: Callable[[int], Sequence[Candidate]], wanted: int) -> list[Candidate]:
    """Take the first `wanted` different chunks; chunks that several documents share come up repeatedly."""
    limit = wanted
    while True:
        rows = fetch(limit)
        first: dict[int, Candidate] = {}
        for row in rows:
            if not math.isnan(row.value):
                first.setdefault(row.chunk_id, row)
        if len(first) >= wanted or len(rows) < limit:
            return list(first.values())[:wanted]
        limit *= 4


def _ranked(mode: str, by_vector: Sequence[Candidate], by_text: Sequence[Candidate]) -> tuple[Ranked, ...]:
    if mode == "vector":
        return tuple(Ranked(one.chunk_id, 1 - one.value) for one in by_vector)
    if mode == "text":
        return tuple(Ranked(one.chunk_id, one.value) for one in by_text)
    return ranking.fuse([one.chunk_id for one in by_vector], [one.chunk_id for one in by_text])


def _hits(scope: Scope, kept: Sequence[Ranked], candidates: Sequence[Candidate]) -> tuple[Hit, ...]:
    if not kept:
        return ()
    at = {one.chunk_id: one for one in candidates}
    passages = rankings.passages(scope, [at[one.chunk_id] for one in kept])
    hits = []
    for rank, one in enumerate(kept, start=1):
        text, document, source, metadata = passages[one.chunk_id]
        version = at[one.chunk_id].doc_version
        hits.append(Hit(one.chunk_id, text, document, source, version, one.score, rank, metadata))
    return tuple(hits)


def _result_sha(corpus: str, snapshot: int, hits: Sequence[Hit]) -> str:
    what = [corpus, snapshot, [[hit.chunk_id, hit.doc_version] for hit in hits]]
    return hashlib.sha256(json.dumps(what, separators=(",", ":")).encode()).hexdigest()


def _clean(text: str) -> str:
    """Make a text storable: no NUL, no lone surrogates."""
    return text.replace("\0", " ").encode(errors="replace").decode()


def _clean_json(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, Mapping):
        return {_clean(str(key)): _clean_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean_json(one) for one in value]
    return value
