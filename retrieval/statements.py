"""The statements that write chunks, spans and heads. Raw SQL, one function each.

May not open a transaction or decide anything: `ingest.py` and `snapshots.py` do. Every statement names the
partition, so that other corpora are not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import connection
from psycopg import sql

from retrieval import partitions
from retrieval.chunking import Passage

_BATCH: Final = 500

_SHARE_DRAFT: Final = """
SELECT number FROM retrieval_snapshot
WHERE corpus_id = %(corpus)s AND number = %(number)s AND state = 'draft' FOR SHARE
"""
# Chunks are invisible until spans name them, so they are written ahead, outside the span transaction.
# Sorted by hash: two writers of the same texts wait for each other instead of deadlocking.
_CHUNKS: Final = """
INSERT INTO {chunks} (corpus_id, model, text_sha, body, emb)
SELECT %(corpus)s, %(model)s, new.text_sha, new.body, cache.emb
FROM unnest(%(shas)s::bytea[], %(bodies)s::text[]) AS new (text_sha, body)
JOIN retrieval_embeddingcache AS cache ON cache.model = %(model)s AND cache.text_sha = new.text_sha
ORDER BY new.text_sha
ON CONFLICT (corpus_id, model, text_sha) DO NOTHING
"""
_SPANS: Final = """
INSERT INTO {spans} (corpus_id, added, chunk_id, document_id, doc_version_id, ordinal, start, stop)
SELECT %(corpus)s, %(number)s, chunk.chunk_id, %(document)s, %(version)s, new.ordinal, new.start, new.stop
FROM unnest(%(ordinals)s::int[], %(shas)s::bytea[], %(starts)s::int[], %(stops)s::int[])
     AS new (ordinal, text_sha, start, stop)
JOIN {chunks} AS chunk
     ON chunk.corpus_id = %(corpus)s AND chunk.model = %(model)s AND chunk.text_sha = new.text_sha
"""
_DROP_DRAFT: Final = "DELETE FROM {spans} WHERE corpus_id = %(corpus)s AND added = %(number)s"
_DROP_DOCUMENT: Final = _DROP_DRAFT + " AND document_id = %(document)s"
# What the draft puts or removes ends, for the documents' older spans, with this snapshot.
_CLOSE_CHANGED: Final = """
WITH closed AS (
    UPDATE {spans} SET removed = %(number)s
    WHERE corpus_id = %(corpus)s AND removed = 2147483647 AND added < %(number)s AND document_id IN (
        SELECT document_id FROM retrieval_change
        WHERE corpus_id = %(corpus)s AND number = %(number)s AND action IN ('put', 'remove'))
    RETURNING ordinal
)
SELECT count(*) FILTER (WHERE ordinal = 0), count(*) FROM closed
"""
_COUNT_ADDED: Final = """
SELECT count(*) FILTER (WHERE ordinal = 0), count(*) FROM {spans}
WHERE corpus_id = %(corpus)s AND added = %(number)s
"""
# Both are seen from the head: a document's `version_id` is the one that the head snapshot holds.
_LEAVES: Final = """
SELECT old.content_sha, new.content_sha
FROM retrieval_change AS change
JOIN retrieval_document AS document ON document.id = change.document_id
LEFT JOIN retrieval_documentversion AS old ON old.id = document.version_id
LEFT JOIN retrieval_documentversion AS new ON new.id = change.version_id
WHERE change.corpus_id = %(corpus)s AND change.number = %(number)s AND change.action IN ('put', 'remove')
"""
_SETTLE_DOCUMENTS: Final = """
UPDATE retrieval_document AS document
SET version_id = change.version_id, reason = '', updated_at = now(),
    state = CASE change.action WHEN 'put' THEN 'processed' ELSE 'removed' END
FROM retrieval_change AS change
WHERE change.corpus_id = %(corpus)s AND change.number = %(number)s AND change.action IN ('put', 'remove')
  AND document.id = change.document_id
"""
# Rollback. `seen_then` and `seen_now` are intervals over the same rows; no vector is copied.
_LEDGER_OF_COPY: Final = """
INSERT INTO retrieval_change (corpus_id, number, document_id, action, version_id, reason, at)
SELECT %(corpus)s, %(number)s, coalesce(target.document_id, document.id),
       CASE WHEN target.document_id IS NULL THEN 'remove' ELSE 'put' END, target.doc_version_id, '', now()
FROM (SELECT document_id, doc_version_id FROM {spans}
      WHERE corpus_id = %(corpus)s AND ordinal = 0
        AND added <= %(target)s AND removed > %(target)s) AS target
FULL JOIN (SELECT id, version_id FROM retrieval_document
           WHERE corpus_id = %(corpus)s AND version_id IS NOT NULL) AS document
     ON document.id = target.document_id
WHERE target.doc_version_id IS DISTINCT FROM document.version_id
"""
_COPY_SPANS: Final = """
INSERT INTO {spans} (corpus_id, added, chunk_id, document_id, doc_version_id, ordinal, start, stop)
SELECT corpus_id, %(number)s, chunk_id, document_id, doc_version_id, ordinal, start, stop
FROM {spans} AS span
WHERE corpus_id = %(corpus)s AND added <= %(target)s AND removed > %(target)s AND document_id IN (
    SELECT document_id FROM retrieval_change
    WHERE corpus_id = %(corpus)s AND number = %(number)s AND action = 'put')
"""
_FORGET_NEW: Final = """
UPDATE retrieval_document AS document SET state = 'removed', updated_at = now()
FROM retrieval_change AS change
WHERE change.corpus_id = %(corpus)s AND change.number = %(number)s AND change.action = 'put'
  AND document.id = change.document_id AND document.state = 'new'
"""
# Documents named by the ledgers between two snapshots, with the version that each of the two sees.
_DIFF: Final = """
SELECT document.name, before.number, before.id, after.number, after.id
FROM (SELECT DISTINCT document_id FROM retrieval_change
      WHERE corpus_id = %(corpus)s AND number > least(%(a)s, %(b)s) AND number <= greatest(%(a)s, %(b)s)
        AND action IN ('put', 'remove')) AS touched
JOIN retrieval_document AS document ON document.id = touched.document_id
LEFT JOIN {spans} AS span_a ON span_a.corpus_id = %(corpus)s AND span_a.document_id = document.id
     AND span_a.ordinal = 0 AND span_a.added <= %(a)s AND span_a.removed > %(a)s
LEFT JOIN {spans} AS span_b ON span_b.corpus_id = %(corpus)s AND span_b.document_id = document.id
     AND span_b.ordinal = 0 AND span_b.added <= %(b)s AND span_b.removed > %(b)s
LEFT JOIN retrieval_documentversion AS before ON before.id = span_a.doc_version_id
LEFT JOIN retrieval_documentversion AS after ON after.id = span_b.doc_version_id
WHERE before.id IS DISTINCT FROM after.id
ORDER BY document.name
"""
_MEMBERS: Final = """
SELECT version.content_sha FROM {spans} AS span
JOIN retrieval_documentversion AS version ON version.id = span.doc_version_id
WHERE span.corpus_id = %(corpus)s AND span.ordinal = 0
  AND span.added <= %(number)s AND span.removed > %(number)s
"""


def share_draft(corpus_id: int, number: int) -> bool:
    """Lock an open draft against being closed, until the transaction ends; False: it is not open."""
    return bool(_rows(_SHARE_DRAFT, corpus_id, number=number))


def insert_chunks(corpus_id: int, *, model: str, passages: Sequence[Passage]) -> None:
    """Store passages whose vectors are in the embedding cache; known ones stay."""
    texts = sorted({passage.sha: passage.text for passage in passages}.items())
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        _execute(
            _CHUNKS,
            corpus_id,
            model=model,
            shas=[sha for sha, _ in batch],
            bodies=[body for _, body in batch],
        )


def insert_spans(
    corpus_id: int, number: int, *, model: str, document: int, version: int, passages: Sequence[Passage]
) -> int:
    """Put a document version's passages into a draft; return how many rows were written."""
    return _execute(
        _SPANS,
        corpus_id,
        number=number,
        model=model,
        document=document,
        version=version,
        ordinals=[passage.ordinal for passage in passages],
        shas=[passage.sha for passage in passages],
        starts=[passage.start for passage in passages],
        stops=[passage.stop for passage in passages],
    )


def drop_draft(corpus_id: int, number: int) -> int:
    return _execute(_DROP_DRAFT, corpus_id, number=number)


def drop_document(corpus_id: int, number: int, *, document: int) -> int:
    return _execute(_DROP_DOCUMENT, corpus_id, number=number, document=document)


def close_changed(corpus_id: int, number: int) -> tuple[int, int]:
    """Close what the snapshot being published replaces or removes; return (documents, chunks)."""
    [(documents, chunks)] = _rows(_CLOSE_CHANGED, corpus_id, number=number)
    return documents, chunks


def count_added(corpus_id: int, number: int) -> tuple[int, int]:
    """Count what the snapshot adds: (documents, chunks)."""
    [(documents, chunks)] = _rows(_COUNT_ADDED, corpus_id, number=number)
    return documents, chunks


def leaves(corpus_id: int, number: int) -> tuple[list[bytes], list[bytes]]:
    """Return the content hashes that the snapshot takes away from the head, and those that it adds."""
    rows = _rows(_LEAVES, corpus_id, number=number)
    return [bytes(old) for old, _ in rows if old], [bytes(new) for _, new in rows if new]


def settle_documents(corpus_id: int, number: int) -> int:
    return _execute(_SETTLE_DOCUMENTS, corpus_id, number=number)


def ledger_of_copy(corpus_id: int, number: int, *, target: int) -> int:
    """Write down what takes the head back to `target`."""
    return _execute(_LEDGER_OF_COPY, corpus_id, number=number, target=target)


def copy_spans(corpus_id: int, number: int, *, target: int) -> int:
    return _execute(_COPY_SPANS, corpus_id, number=number, target=target)


def forget_new(corpus_id: int, number: int) -> int:
    return _execute(_FORGET_NEW, corpus_id, number=number)


def diff(corpus_id: int, *, a: int, b: int) -> list[tuple[Any, ...]]:
    """List (name, revision in a, version id in a, revision in b, version id in b) where they differ."""
    return _rows(_DIFF, corpus_id, a=a, b=b)


def members(corpus_id: int, number: int) -> list[bytes]:
    """Return the content hash of every document that a snapshot sees."""
    return [bytes(row[0]) for row in _rows(_MEMBERS, corpus_id, number=number)]


def _composed(statement: str, corpus_id: int) -> sql.Composed:
    return sql.SQL(statement).format(chunks=partitions.chunks(corpus_id), spans=partitions.spans(corpus_id))


def _execute(statement: str, corpus_id: int, **params: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_composed(statement, corpus_id), {"corpus": corpus_id, **params})
        return int(cursor.rowcount)


def _rows(statement: str, corpus_id: int, **params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_composed(statement, corpus_id), {"corpus": corpus_id, **params})
        return list(cursor.fetchall())
