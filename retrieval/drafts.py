"""The life of a draft: opened on the head, published as a snapshot or abandoned.

Lock order, everywhere: corpus, snapshot, document. May not parse, embed or write documents (`ingest.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from retrieval import corpora, roots, statements
from retrieval.contents import Settings
from retrieval.errors import RetrievalError
from retrieval.models import Change, Corpus, Snapshot

NOTHING_CHANGED: Final = "nothing changed"


@dataclass(frozen=True)
class Draft:
    """An open draft, by corpus and number: all that another worker needs to go on with it."""

    corpus: str
    number: int


def open_draft(corpus: str, *, actor: str) -> Draft:
    """Open a draft on the head, or go on with the one that this actor (an ingest's id) has open.

    Raises: RetrievalError `unknown_corpus`, `draft_open`.
    """
    with transaction.atomic():
        row = locked_corpus(corpus)
        found = Snapshot.objects.filter(corpus=row, state=Snapshot.State.DRAFT).first()
        if found is None:
            found = new(row, actor=actor)
    if found.actor != actor:
        raise RetrievalError(
            "draft_open",
            f"Corpus {corpus!r} has a draft (snapshot {found.number}) that {found.actor} opened at "
            f"{found.created_at:%Y-%m-%d %H:%M:%S} UTC: wait for it, or abandon it.",
        )
    return Draft(corpus, found.number)


def publish(draft: Draft) -> Snapshot | None:
    """Publish a draft: one short transaction moves the head. None: nothing changed, the draft is abandoned.

    Repeated, it returns the published snapshot again. Raises: RetrievalError `draft_closed`.
    """
    with transaction.atomic():
        corpus = locked_corpus(draft.corpus)
        snapshot = _locked_snapshot(corpus, draft.number)
        if snapshot.state == Snapshot.State.PUBLISHED:
            return snapshot
        if snapshot.state == Snapshot.State.ABANDONED and snapshot.reason == NOTHING_CHANGED:
            return None
        if snapshot.state != Snapshot.State.DRAFT:
            raise _closed(draft, snapshot)
        changes = Change.objects.filter(corpus=corpus, number=draft.number)
        if not changes.exclude(action=Change.Action.FAILED).exists():
            _abandon(corpus, snapshot, NOTHING_CHANGED)
            return None
        return settle(corpus, snapshot)


def settle(corpus: Corpus, snapshot: Snapshot) -> Snapshot:
    """Close what the snapshot replaces, fix its root hash and figures, and move the head to it.

    Inside the caller's transaction, which holds the locks of both.
    """
    _move(snapshot, Snapshot.State.DRAFT, Snapshot.State.PUBLISHING)
    base = Snapshot.objects.filter(corpus=corpus, number=corpus.head or 0).first()
    gone_documents, gone_chunks = statements.close_changed(corpus.id, snapshot.number)
    new_documents, new_chunks = statements.count_added(corpus.id, snapshot.number)
    removed, added = statements.leaves(corpus.id, snapshot.number)
    if (gone_documents, new_documents) != (len(removed), len(added)):
        raise RuntimeError(
            f"Snapshot {snapshot.number} of corpus {corpus.name!r} is inconsistent: its ledger adds "
            f"{len(added)} and takes {len(removed)} documents, its spans {new_documents} and "
            f"{gone_documents}."
        )
    snapshot.root_hash = roots.advance(base.root_hash if base else roots.EMPTY, added=added, removed=removed)
    snapshot.documents = (base.documents if base else 0) + new_documents - gone_documents
    snapshot.chunks = (base.chunks if base else 0) + new_chunks - gone_chunks
    snapshot.published_at = timezone.now()
    figures = ("root_hash", "documents", "chunks", "published_at")
    _move(
        snapshot,
        Snapshot.State.PUBLISHING,
        Snapshot.State.PUBLISHED,
        **{figure: getattr(snapshot, figure) for figure in figures},
    )
    Corpus.objects.filter(pk=corpus.pk).update(head=snapshot.number)
    statements.settle_documents(corpus.id, snapshot.number)
    return snapshot


def abandon(draft: Draft, *, reason: str = "abandoned") -> None:
    """Give up a draft and drop its rows. One that was abandoned before stays so.

    Raises: RetrievalError `draft_closed` where it was published.
    """
    with transaction.atomic():
        corpus = locked_corpus(draft.corpus)
        snapshot = _locked_snapshot(corpus, draft.number)
        if snapshot.state == Snapshot.State.ABANDONED:
            return
        if snapshot.state != Snapshot.State.DRAFT:
            raise _closed(draft, snapshot)
        _abandon(corpus, snapshot, reason)


def abandon_open(corpus: Corpus, *, reason: str) -> None:
    """Abandon whatever draft is open, inside the caller's transaction, which holds the corpus' lock."""
    found = Snapshot.objects.select_for_update().filter(corpus=corpus, state=Snapshot.State.DRAFT).first()
    if found is not None:
        _abandon(corpus, found, reason)


def new(corpus: Corpus, *, actor: str, copy_of: int | None = None) -> Snapshot:
    """Make the next draft, inside the caller's transaction, which holds the corpus' lock."""
    newest = Snapshot.objects.filter(corpus=corpus).aggregate(number=Max("number"))["number"]
    return Snapshot.objects.create(
        corpus=corpus,
        number=(newest or 0) + 1,
        base=corpus.head,
        copy_of=copy_of,
        actor=actor,
        model=corpus.embedding,
        chunker_hash=settings_of(corpus).sha,
    )


def settings_of(corpus: Corpus) -> Settings:
    return Settings(corpus.embedding, corpus.chunk_tokens, corpus.chunk_overlap)


def locked_corpus(name: str) -> Corpus:
    """Lock a corpus' head until the transaction ends. Raises: RetrievalError `unknown_corpus`."""
    found = Corpus.objects.select_for_update(no_key=True).filter(name=name).first()
    return found or corpora.get(name)


def share(corpus: Corpus, draft: Draft) -> None:
    """Keep the draft open until the transaction ends: publishing and abandoning wait.

    Raises: RetrievalError `draft_closed`.
    """
    if not statements.share_draft(corpus.id, draft.number):
        raise _closed(draft, Snapshot.objects.filter(corpus=corpus, number=draft.number).first())


def _abandon(corpus: Corpus, snapshot: Snapshot, reason: str) -> None:
    statements.drop_draft(corpus.id, snapshot.number)
    statements.forget_new(corpus.id, snapshot.number)
    _move(snapshot, Snapshot.State.DRAFT, Snapshot.State.ABANDONED, reason=reason)


def _move(snapshot: Snapshot, before: str, after: str, **fields: Any) -> None:
    if Snapshot.objects.filter(pk=snapshot.pk, state=before).update(state=after, **fields) != 1:
        raise RuntimeError(f"Snapshot {snapshot.number} is no longer {before}.")
    snapshot.state = after


def _locked_snapshot(corpus: Corpus, number: int) -> Snapshot:
    found = Snapshot.objects.select_for_update().filter(corpus=corpus, number=number).first()
    if found is None:
        raise RetrievalError("unknown_snapshot", f"Corpus {corpus.name!r} has no snapshot {number}.")
    return found


def _closed(draft: Draft, snapshot: Snapshot | None) -> RetrievalError:
    if snapshot is None:
        return RetrievalError("draft_closed", f"Corpus {draft.corpus!r} has no draft {draft.number}.")
    why = f" ({snapshot.reason})" if snapshot.reason else ""
    return RetrievalError(
        "draft_closed",
        f"Snapshot {draft.number} of corpus {draft.corpus!r} is {snapshot.state}{why}; "
        "open a new draft and ingest again (nothing is embedded twice).",
    )
