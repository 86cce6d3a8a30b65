"""Delete what nobody needs any more: snapshots that were replaced long ago, and records of searches. Raw SQL.

Knows nothing of runs: the caller says which snapshots are needed. A span goes when no published snapshot sees it, a
chunk when no span names it. Every function is one short piece of work, inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from django.db import connection
from psycopg import sql

from retrieval import partitions
from retrieval.models import Corpus, Snapshot

# A snapshot that is not the head, nor was it at the moment; the next published one says until when it was.
_REPLACED: Final = """
SELECT number FROM (
    SELECT number, lead(published_at) OVER (ORDER BY number) AS replaced_at FROM retrieval_snapshot
    WHERE corpus_id = %(corpus)s AND state IN ('published', 'collected')) AS one
WHERE replaced_at < %(before)s AND number <> ALL(%(needed)s)
  AND number <> ALL(SELECT coalesce(base, 0) FROM retrieval_snapshot WHERE corpus_id = %(corpus)s AND state = 'draft')
  AND number IN (SELECT number FROM retrieval_snapshot WHERE corpus_id = %(corpus)s AND state = 'published')
ORDER BY number
"""
# Whoever pins a snapshot by its number holds it (`snapshots.hold`): it is of use.
_HELD: Final = """
SELECT number FROM retrieval_snapshot WHERE corpus_id = %(corpus)s AND number = ANY(%(numbers)s) AND state = 'published'
ORDER BY number FOR UPDATE SKIP LOCKED
"""
_COLLECT: Final = """
UPDATE retrieval_snapshot SET state = 'collected'
WHERE corpus_id = %(corpus)s AND number = ANY(%(numbers)s) AND state = 'published'
"""
# Between two neighbouring published snapshots `low` and `high`: added after the one, removed up to the other.
_DROP_SPANS: Final = """
DELETE FROM {spans} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM {spans}
    WHERE corpus_id = %(corpus)s AND added > %(low)s AND added < %(high)s AND removed <= %(high)s LIMIT %(limit)s))
"""
_COUNT_SPANS: Final = """
SELECT count(*) FROM {spans}
WHERE corpus_id = %(corpus)s AND added > %(low)s AND added < %(high)s AND removed <= %(high)s
"""
_LOCK_CORPUS: Final = "SELECT id FROM retrieval_corpus WHERE id = %(corpus)s FOR NO KEY UPDATE"
_DRAFT: Final = """
SELECT number FROM retrieval_snapshot WHERE corpus_id = %(corpus)s AND state IN ('draft', 'publishing')
"""
_BARE: Final = """
SELECT chunk_id FROM (
    SELECT chunk_id FROM {chunks} WHERE corpus_id = %(corpus)s AND chunk_id > %(after)s
    ORDER BY chunk_id LIMIT %(limit)s
) AS chunk WHERE NOT EXISTS (SELECT FROM {spans} AS span WHERE span.chunk_id = chunk.chunk_id)
"""
_LAST: Final = """
SELECT max(chunk_id) FROM (
    SELECT chunk_id FROM {chunks} WHERE corpus_id = %(corpus)s AND chunk_id > %(after)s
    ORDER BY chunk_id LIMIT %(limit)s
) AS chunk
"""
_DROP_CHUNKS: Final = "DELETE FROM {chunks} WHERE corpus_id = %(corpus)s AND chunk_id = ANY(%(ids)s)"
# A chunk that has only spans that would go.
_WOULD_BE_BARE: Final = """
SELECT count(*) FROM {chunks} AS chunk WHERE corpus_id = %(corpus)s AND NOT EXISTS (
    SELECT FROM {spans} AS span WHERE span.chunk_id = chunk.chunk_id AND NOT EXISTS (
        SELECT FROM unnest(%(lows)s::int[], %(highs)s::int[]) AS gap (low, high)
        WHERE span.added > gap.low AND span.added < gap.high AND span.removed <= gap.high))
"""
_HITS: Final = """
DELETE FROM retrieval_hit WHERE ctid = ANY (ARRAY(
    SELECT hit.ctid FROM retrieval_hit AS hit JOIN retrieval_retrieval AS search ON search.id = hit.retrieval_id
    WHERE search.run = ANY(%(runs)s) LIMIT %(limit)s))
"""
_SEARCHES: Final = """
DELETE FROM retrieval_retrieval AS search WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM retrieval_retrieval WHERE run = ANY(%(runs)s) LIMIT %(limit)s))
  AND NOT EXISTS (SELECT FROM retrieval_hit AS hit WHERE hit.retrieval_id = search.id)
"""


def replaced(corpus: Corpus, needed: Collection[int], *, before: datetime) -> list[int]:
    """Return the published snapshots that are not needed and were replaced by another one before a moment."""
    return [row[0] for row in _rows(_REPLACED, corpus.pk, needed=list(needed), before=before)]


def collect(corpus: Corpus, numbers: Sequence[int], needed: Callable[[], Collection[int]]) -> list[int]:
    """Mark snapshots whose rows may go; return their numbers. `needed` is asked again once they are locked."""
    locked = {row[0] for row in _rows(_HELD, corpus.pk, numbers=list(numbers))}
    chosen = sorted(locked.difference(needed())) if locked else []
    if chosen:
        _changed(_COLLECT, corpus.pk, numbers=chosen)
    return chosen


def gaps(corpus: Corpus, without: Collection[int] = ()) -> list[tuple[int, int]]:
    """Return the stretches between neighbouring published snapshots in which others lie; `without` counts as gone."""
    numbers = Snapshot.objects.filter(corpus=corpus, state=Snapshot.State.PUBLISHED).order_by("number")
    kept = [number for number in numbers.values_list("number", flat=True) if number not in without]
    return [(low, high) for low, high in zip([0, *kept], kept, strict=False) if high - low > 1]


def drop_spans(corpus: Corpus, gap: tuple[int, int], *, limit: int) -> int:
    """Delete spans that only snapshots inside a gap saw; return how many."""
    return _changed(_DROP_SPANS, corpus.pk, low=gap[0], high=gap[1], limit=limit)


def count_spans(corpus: Corpus, gap: tuple[int, int]) -> int:
    """Count what `drop_spans` would delete of a gap."""
    return int(_rows(_COUNT_SPANS, corpus.pk, low=gap[0], high=gap[1])[0][0])


def drop_chunks(corpus: Corpus, *, after: int, limit: int) -> tuple[int, int | None]:
    """Look at the next chunks by their ids, and delete those that no span names.

    Returns how many were deleted, and the last id that was looked at; None: there was nothing more to look at, or
    an ingest has a draft open. It writes chunks before it places them, so that they only look bare.
    """
    _rows(_LOCK_CORPUS, corpus.pk)
    if _rows(_DRAFT, corpus.pk):
        return 0, None
    bare = [row[0] for row in _rows(_BARE, corpus.pk, after=after, limit=limit)]
    last = _rows(_LAST, corpus.pk, after=after, limit=limit)[0][0]
    return _changed(_DROP_CHUNKS, corpus.pk, ids=bare) if bare else 0, last


def count_chunks(corpus: Corpus, found: Sequence[tuple[int, int]]) -> int:
    """Count what `drop_chunks` would delete once the spans of some gaps are gone."""
    if _rows(_DRAFT, corpus.pk):
        return 0
    lows, highs = [low for low, _ in found], [high for _, high in found]
    return int(_rows(_WOULD_BE_BARE, corpus.pk, lows=lows, highs=highs)[0][0])


def corpora_to_collect() -> Iterator[Corpus]:
    """Return the corpora that have anything published."""
    yield from Corpus.objects.filter(head__isnull=False).order_by("pk")


def forget_searches(runs: Sequence[str], *, limit: int) -> int:
    """Delete at most `limit` rows of what runs searched and were given; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(_HITS, {"runs": list(runs), "limit": limit})
        hits = int(cursor.rowcount)
        if hits >= limit:
            return hits
        cursor.execute(_SEARCHES, {"runs": list(runs), "limit": limit - hits})
        return hits + int(cursor.rowcount)


def count_searches(runs: Sequence[str]) -> int:
    """Count what `forget_searches` would delete."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) + coalesce(sum((SELECT count(*) FROM retrieval_hit AS hit "
            "WHERE hit.retrieval_id = search.id)), 0) FROM retrieval_retrieval AS search WHERE run = ANY(%s)",
            [list(runs)],
        )
        return int((cursor.fetchone() or [0])[0])


def _composed(statement: str, corpus_id: int) -> sql.Composed:
    return sql.SQL(statement).format(chunks=partitions.chunks(corpus_id), spans=partitions.spans(corpus_id))


def _changed(statement: str, corpus_id: int, **params: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_composed(statement, corpus_id), {"corpus": corpus_id, **params})
        return int(cursor.rowcount)


def _rows(statement: str, corpus_id: int, **params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_composed(statement, corpus_id), {"corpus": corpus_id, **params})
        return list(cursor.fetchall())
