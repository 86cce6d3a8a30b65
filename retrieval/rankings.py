"""Rank the chunks that a snapshot sees: by vector, exactly or through the HNSW index, and by text.

Raw SQL. May not fuse, cut or decide which way to go (`search.py`). Every ranking is complete in its order: by
score, then chunk id, then document version, so that equal scores come alike on every worker.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from django.db import connection
from psycopg import sql

from retrieval import partitions

MAX_LEXEMES: Final = 64
# hnsw.ef_search cannot be larger (pgvector).
MAX_EF: Final = 1000

_RESOLVE: Final = """
SELECT corpus.id, corpus.dims, corpus.head, corpus.quarantine_epoch, snapshot.state, snapshot.chunks,
       ARRAY(SELECT document_id FROM retrieval_quarantine
             WHERE corpus_id = corpus.id AND lifted_epoch IS NULL)
FROM retrieval_corpus AS corpus
LEFT JOIN retrieval_snapshot AS snapshot ON snapshot.corpus_id = corpus.id AND snapshot.number = %s
WHERE corpus.name = %s
"""
_SEEN: Final = "span.corpus_id = %(corpus)s AND span.added <= %(snapshot)s AND span.removed > %(snapshot)s"
_JOINED: Final = "chunk.corpus_id = %(corpus)s AND chunk.chunk_id = span.chunk_id"
_NOT_QUARANTINED: Final = " AND span.document_id <> ALL(%(quarantined)s)"
_FILTERED: Final = """ AND span.doc_version_id IN (
    SELECT id FROM retrieval_documentversion
    WHERE corpus_id = %(corpus)s AND metadata @> %(filter)s::jsonb)"""
# Without the `+ 0` the planner takes the HNSW index, which is not exact.
_EXACT: Final = """
SELECT span.chunk_id, span.doc_version_id,
       (chunk.emb::halfvec({dims}) <=> %(vector)s::halfvec({dims})) + 0 AS distance
FROM {spans} AS span, {chunks} AS chunk
WHERE {seen} AND {joined}
ORDER BY distance, span.chunk_id, span.doc_version_id, span.ordinal
LIMIT %(limit)s
"""
# The index gives rows in nearly the right order; sorted again outside.
_INDEXED: Final = """
WITH near AS MATERIALIZED (
    SELECT span.chunk_id, span.doc_version_id, span.ordinal,
           chunk.emb::halfvec({dims}) <=> %(vector)s::halfvec({dims}) AS distance
    FROM {spans} AS span, {chunks} AS chunk
    WHERE {seen} AND {joined}
    ORDER BY distance
    LIMIT %(limit)s
)
SELECT chunk_id, doc_version_id, distance FROM near ORDER BY distance, chunk_id, doc_version_id, ordinal
"""
# Any word of the question counts: requiring all of them finds nothing for whole sentences. `ts_rank` uses no
# statistics of the corpus, so later ingests cannot move the scores of a pinned snapshot.
_TEXT: Final = """
WITH words AS (
    SELECT lexeme FROM unnest(to_tsvector('retrieval_english', %(query)s)) ORDER BY positions[1], lexeme
    LIMIT %(lexemes)s
), question AS MATERIALIZED (
    SELECT string_agg(
        '''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || '''', ' | '
    )::tsquery AS any_word FROM words
)
SELECT span.chunk_id, span.doc_version_id, ts_rank(chunk.tsv, question.any_word, 1) AS score
FROM question, {spans} AS span, {chunks} AS chunk
WHERE {seen} AND {joined} AND chunk.tsv @@ question.any_word
ORDER BY score DESC, span.chunk_id, span.doc_version_id, span.ordinal
LIMIT %(limit)s
"""
# Sent with the ranking in one message, which is one transaction: the settings end with it.
_SETTINGS: Final = """
SELECT set_config('hnsw.ef_search', %(ef)s, true), set_config('hnsw.iterative_scan', 'relaxed_order', true);
"""
_COUNT: Final = """
SELECT count(*) FROM (SELECT FROM {spans} AS span WHERE {seen} LIMIT %(limit)s) AS found
"""
_PASSAGES: Final = """
SELECT wanted.chunk_id, chunk.body, document.name, version.source, version.metadata
FROM unnest(%(chunk_ids)s::bigint[], %(versions)s::bigint[]) AS wanted (chunk_id, version_id)
JOIN {chunks} AS chunk ON chunk.corpus_id = %(corpus)s AND chunk.chunk_id = wanted.chunk_id
JOIN retrieval_documentversion AS version ON version.id = wanted.version_id
JOIN retrieval_document AS document ON document.id = version.document_id
"""


@dataclass(frozen=True)
class Scope:
    """What a search may see: one snapshot of one corpus, less quarantined documents, under a filter."""

    corpus_id: int
    dims: int
    snapshot: int
    quarantine_epoch: int
    chunks: int
    quarantined: tuple[int, ...] = ()
    filter: str | None = None  # JSON that the metadata must contain


@dataclass(frozen=True)
class Candidate:
    """A chunk at a document version, with its distance (vector) or score (text)."""

    chunk_id: int
    doc_version: int
    value: float


def resolve(corpus: str, snapshot: int) -> tuple[Any, ...] | None:
    """Return (corpus id, dims, head, quarantine epoch, snapshot state, chunks, quarantined documents)."""
    with connection.cursor() as cursor:
        cursor.execute(_RESOLVE, [snapshot, corpus])
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def exact(scope: Scope, *, vector: str, limit: int) -> list[Candidate]:
    """Rank by cosine distance, nearest first, over every chunk in scope."""
    return _candidates(_EXACT, scope, vector=vector, limit=limit)


def indexed(scope: Scope, *, vector: str, limit: int, ef: int) -> list[Candidate]:
    """Rank by cosine distance through the HNSW index: approximate, and possibly short under filters."""
    rows = _rows(_SETTINGS + _INDEXED, scope, vector=vector, limit=limit, ef=str(min(ef, MAX_EF)))
    return [Candidate(*row) for row in rows]


def text(scope: Scope, *, query: str, limit: int) -> list[Candidate]:
    """Rank by the words of the query, best first; only its first 64 distinct words count."""
    return _candidates(_TEXT, scope, query=query, limit=limit, lexemes=MAX_LEXEMES)


def count(scope: Scope, *, limit: int) -> int:
    """Count the passages in scope, filter applied, up to a limit."""
    [(number,)] = _rows(_COUNT, scope, limit=limit)
    return int(number)


def passages(scope: Scope, found: list[Candidate]) -> dict[int, tuple[str, str, str, dict[str, object]]]:
    """Return (text, document, source, metadata) by chunk id."""
    rows = _rows(
        _PASSAGES,
        scope,
        chunk_ids=[one.chunk_id for one in found],
        versions=[one.doc_version for one in found],
    )
    # Django hands jsonb out as text outside its model fields.
    return {
        chunk_id: (text, document, source, json.loads(metadata))
        for chunk_id, text, document, source, metadata in rows
    }


def _candidates(statement: str, scope: Scope, **params: Any) -> list[Candidate]:
    return [Candidate(*row) for row in _rows(statement, scope, **params)]


def _rows(statement: str, scope: Scope, **params: Any) -> list[tuple[Any, ...]]:
    query = _composed(
        statement,
        scope.corpus_id,
        scope.dims,
        quarantined=bool(scope.quarantined),
        filtered=scope.filter is not None,
    )
    params |= {
        "corpus": scope.corpus_id,
        "snapshot": scope.snapshot,
        "quarantined": list(scope.quarantined),
        "filter": scope.filter,
    }
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        while cursor.nextset():
            pass  # to the last statement's rows
        return list(cursor.fetchall())


@lru_cache(maxsize=4096)
def _composed(statement: str, corpus_id: int, dims: int, *, quarantined: bool, filtered: bool) -> str:
    seen = _SEEN + (_NOT_QUARANTINED if quarantined else "") + (_FILTERED if filtered else "")
    query = sql.SQL(statement).format(
        spans=partitions.spans(corpus_id),
        chunks=partitions.chunks(corpus_id),
        dims=sql.Literal(dims),
        seen=sql.SQL(seen),
        joined=sql.SQL(_JOINED),
    )
    return query.as_string(None)
