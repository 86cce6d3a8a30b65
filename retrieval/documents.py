"""One document: its revisions, text, passages and history; where passages stand; what snapshots changed.

Raw SQL over the partition of one corpus. May not change anything, nor search.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet
from psycopg import sql

from retrieval import partitions
from retrieval.errors import RetrievalError
from retrieval.models import Change, Corpus, Document, DocumentVersion


@dataclass(frozen=True)
class Passage:
    """A chunk at its place: `start` and `stop` count characters of the revision's text."""

    ordinal: int
    start: int
    stop: int
    text: str
    chunk: int


@dataclass(frozen=True)
class Changed:
    """How many documents a snapshot added, removed and changed, and how many could not be read."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    failed: int = 0


# A rollback places the same version again: each of its passages counts once.
_PASSAGES: Final = """
SELECT DISTINCT ON (span.ordinal) span.ordinal, span.start, span.stop, chunk.body, span.chunk_id
FROM {spans} AS span JOIN {chunks} AS chunk ON chunk.corpus_id = %(corpus)s AND chunk.chunk_id = span.chunk_id
WHERE span.corpus_id = %(corpus)s AND span.document_id = %(document)s AND span.doc_version_id = %(version)s
  AND span.ordinal >= %(first)s
ORDER BY span.ordinal, span.added LIMIT %(limit)s
"""
_PLACES: Final = """
SELECT DISTINCT ON (span.doc_version_id, span.chunk_id)
       span.doc_version_id, span.chunk_id, span.ordinal, span.start, span.stop
FROM {spans} AS span
WHERE span.corpus_id = %(corpus)s AND span.chunk_id = ANY(%(chunks)s) AND span.doc_version_id = ANY(%(versions)s)
ORDER BY span.doc_version_id, span.chunk_id, span.ordinal
"""
_CHANGES: Final = """
SELECT change.number,
       count(*) FILTER (WHERE action = 'put' AND before.document_id IS NULL),
       count(*) FILTER (WHERE action = 'remove'),
       count(*) FILTER (WHERE action = 'put' AND before.document_id IS NOT NULL),
       count(*) FILTER (WHERE action = 'failed')
FROM retrieval_change AS change
LEFT JOIN LATERAL (
    SELECT document_id FROM {spans} AS span
    WHERE change.action = 'put' AND span.corpus_id = %(corpus)s AND span.document_id = change.document_id
      AND span.ordinal = 0 AND span.removed = change.number LIMIT 1) AS before ON true
WHERE change.corpus_id = %(corpus)s AND change.number = ANY(%(numbers)s)
GROUP BY change.number
"""


def get(corpus: Corpus, name: str) -> Document:
    """Return a document with its version at the head, without the text.

    Raises: RetrievalError `unknown_document`.
    """
    found = Document.objects.filter(corpus=corpus, name=name.replace("\0", ""))
    document = found.select_related("version").defer("version__text").first()
    if document is None:
        raise RetrievalError("unknown_document", f"Corpus {corpus.name!r} has no document {name[:80]!r}.")
    return document


def revisions(document: Document) -> QuerySet[DocumentVersion]:
    """Return the revisions of a document, newest first, without their texts."""
    return document.versions.defer("text").order_by("-number")


def revision(document: Document, number: int) -> DocumentVersion:
    """Return one revision with its text. Raises: RetrievalError `unknown_document`."""
    found = document.versions.filter(number=number).first()
    if found is None:
        raise RetrievalError("unknown_document", f"Document {document.name!r} has no revision {number}.")
    return found


def history(document: Document) -> QuerySet[Change]:
    """Return what snapshots did to a document, newest first."""
    found = document.changes.select_related("version").defer("version__text")
    return found.order_by("-number")


def passages(version: DocumentVersion, *, first: int = 0, limit: int = 200) -> tuple[Passage, ...]:
    """Return the passages of a revision in order, from an ordinal on; none once they were collected."""
    rows = _rows(
        _PASSAGES,
        version.corpus_id,
        document=version.document_id,
        version=version.pk,
        first=first,
        limit=limit,
    )
    return tuple(Passage(*row) for row in rows)


def places(corpus_id: int, hits: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Passage]:
    """Say where hits stand: (version id, chunk id) → the passage, without its text."""
    wanted = set(hits)
    if not wanted:
        return {}
    versions, chunks = (sorted(set(part)) for part in zip(*wanted, strict=True))
    rows = _rows(_PLACES, corpus_id, versions=versions, chunks=chunks)
    return {
        (row[0], row[1]): Passage(row[2], row[3], row[4], "", row[1])
        for row in rows
        if (row[0], row[1]) in wanted
    }


def changes_of(corpus: Corpus, numbers: Sequence[int]) -> dict[int, Changed]:
    """Count what each of some snapshots changed against the one before it."""
    rows = _rows(_CHANGES, corpus.pk, numbers=list(numbers))
    return {row[0]: Changed(*row[1:]) for row in rows}


def versions(corpus: Corpus, ids: Iterable[int | None]) -> dict[int, DocumentVersion]:
    """Return revisions of a corpus with their texts, by id."""
    found = DocumentVersion.objects.filter(corpus=corpus, pk__in=[one for one in ids if one is not None])
    return {version.pk: version for version in found}


def version_ids(corpus: str, document: str, *, number: int | None = None) -> list[int]:
    """Return the ids of the versions of a document, as lineage names them: all, or the one of a number."""
    found = DocumentVersion.objects.filter(document__corpus__name=corpus, document__name=document)
    if number is not None:
        found = found.filter(number=number)
    return list(found.order_by("pk").values_list("pk", flat=True))


def names_of(ids: Iterable[int]) -> dict[int, tuple[str, int]]:
    """Return the document's name and the revision of versions, by their ids."""
    found = DocumentVersion.objects.filter(pk__in=set(ids)).values_list("pk", "document__name", "number")
    return {pk: (name, number) for pk, name, number in found}


def chunk_at(version_id: int, ordinal: int) -> int | None:
    """Return the chunk that stands at a place in a version; None: nothing does, or it was collected."""
    version = DocumentVersion.objects.defer("text").get(pk=version_id)
    found = passages(version, first=ordinal, limit=1)
    return found[0].chunk if found and found[0].ordinal == ordinal else None


def numbers_of(corpus: Corpus, ids: Iterable[int]) -> dict[int, int]:
    """Return the revision numbers of document versions, by their ids."""
    return dict(DocumentVersion.objects.filter(corpus=corpus, pk__in=set(ids)).values_list("pk", "number"))


def sizes() -> dict[int, int]:
    """Return the bytes on disk of every corpus, by its id: chunks, spans and their indexes."""
    wanted = list(Corpus.objects.values_list("pk", flat=True))
    names = [f"retrieval_{kind}_{pk}" for pk in wanted for kind in ("chunk", "span")]
    owners = [pk for pk in wanted for _ in range(2)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT owner, sum(pg_total_relation_size(name::regclass))::bigint "
            "FROM unnest(%s::int[], %s::text[]) AS part (owner, name) GROUP BY owner",
            [owners, names],
        )
        return {row[0]: int(row[1]) for row in cursor.fetchall()}


def _rows(statement: str, corpus_id: int, **params: Any) -> list[tuple[Any, ...]]:
    query = sql.SQL(statement).format(chunks=partitions.chunks(corpus_id), spans=partitions.spans(corpus_id))
    with connection.cursor() as cursor:
        cursor.execute(query.as_string(None), {"corpus": corpus_id, **params})
        return list(cursor.fetchall())
