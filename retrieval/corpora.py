"""Corpora and their documents: settings, lists and figures.

May not ingest, publish or search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet

from retrieval import partitions
from retrieval.errors import RetrievalError
from retrieval.models import Corpus, Document, Snapshot

MAX_DIMS: Final = 16_000


@dataclass(frozen=True)
class CorpusSummary:
    """A corpus and its newest published snapshot (null: none), which has documents, chunks, published_at."""

    corpus: Corpus
    head: Snapshot | None


@dataclass(frozen=True)
class Stats:
    """Figures of one corpus; `bytes` counts chunks, spans and their indexes on disk."""

    head: int | None
    documents: int
    chunks: int
    failed: int
    quarantined: int
    bytes: int


def get(name: str) -> Corpus:
    """Return the corpus. Raises: RetrievalError `unknown_corpus`."""
    found = Corpus.objects.filter(name=name).first()
    if found is None:
        raise RetrievalError("unknown_corpus", f"There is no corpus {name!r}; apply a Corpus document first.")
    return found


def ensure(
    name: str, *, embedding: str, dims: int, chunk_tokens: int, chunk_overlap: int, publish: str
) -> Corpus:
    """Create the corpus with its partitions, or change its settings, inside the caller's transaction.

    New chunk sizes hold from the next ingest on.

    Raises: RetrievalError `wrong_settings`, `embedding_changed`.
    """
    _check(name, dims=dims, chunk_tokens=chunk_tokens, chunk_overlap=chunk_overlap, publish=publish)
    wanted = {
        "embedding": embedding,
        "dims": dims,
        "chunk_tokens": chunk_tokens,
        "chunk_overlap": chunk_overlap,
        "publish": publish,
    }
    with transaction.atomic():
        corpus, created = Corpus.objects.get_or_create(name=name, defaults=wanted)
        if created:
            partitions.create(corpus.id, dims=dims)
            return corpus
        corpus = Corpus.objects.select_for_update(no_key=True).get(pk=corpus.pk)
        if (corpus.embedding, corpus.dims) != (embedding, dims):
            _change_embedding(corpus, embedding=embedding, dims=dims)
        changed = [field for field, value in wanted.items() if getattr(corpus, field) != value]
        for field in changed:
            setattr(corpus, field, wanted[field])
        if changed:
            corpus.save(update_fields=changed)
        return corpus


def _check(name: str, *, dims: int, chunk_tokens: int, chunk_overlap: int, publish: str) -> None:
    faults = []
    if not 1 <= dims <= MAX_DIMS:
        faults.append(f"its embedding has {dims} dimensions; 1 to {MAX_DIMS} are possible")
    if chunk_tokens < 1 or not 0 <= chunk_overlap < chunk_tokens:
        faults.append(f"chunk tokens {chunk_tokens} must be above its overlap {chunk_overlap}, both positive")
    if publish not in Corpus.Publish.values:
        faults.append(f"publish is {publish!r}; auto or manual is expected")
    if faults:
        raise RetrievalError("wrong_settings", f"Corpus {name!r}: {'; '.join(faults)}.")


def _change_embedding(corpus: Corpus, *, embedding: str, dims: int) -> None:
    if Snapshot.objects.filter(corpus=corpus).exists():
        raise RetrievalError(
            "embedding_changed",
            f"Corpus {corpus.name!r} has content embedded by {corpus.embedding} ({corpus.dims} dimensions); "
            f"it cannot change to {embedding} ({dims}). Apply a corpus of another name and ingest there.",
        )
    partitions.size(corpus.id, dims=dims)


def listed() -> tuple[CorpusSummary, ...]:
    """List all corpora by name with their head snapshot; two queries."""
    rows = list(Corpus.objects.order_by("name"))
    at_head = Q(corpus__head=F("number"), state=Snapshot.State.PUBLISHED)
    heads = {one.corpus_id: one for one in Snapshot.objects.filter(at_head)}
    return tuple(CorpusSummary(row, heads.get(row.id)) for row in rows)


def stats(name: str) -> Stats:
    """Return the figures of one corpus at its head."""
    corpus = get(name)
    head = Snapshot.objects.filter(corpus=corpus, number=corpus.head or 0).first()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(child)) FROM unnest(%s::regclass[]) AS child",
            [[f"retrieval_chunk_{corpus.id}", f"retrieval_span_{corpus.id}"]],
        )
        [size] = cursor.fetchone() or [0]
    return Stats(
        head=corpus.head,
        documents=head.documents if head else 0,
        chunks=head.chunks if head else 0,
        failed=corpus.documents.filter(state=Document.State.FAILED).count(),
        quarantined=corpus.quarantines.filter(lifted_epoch=None).count(),
        bytes=int(size or 0),
    )


def documents(name: str, *, state: str = "", contains: str = "") -> QuerySet[Document]:
    """Documents by name, for keyset pages on `name` (unique in the corpus).

    Each has its `state` and `reason`; `version` (null: not in the head snapshot; else with its `number` and
    `chunks`) is joined without its text.
    """
    found = Document.objects.filter(corpus=get(name)).select_related("version").defer("version__text")
    if state:
        found = found.filter(state=state)
    if contains:
        found = found.filter(name__icontains=contains)
    return found.order_by("name", "pk")
