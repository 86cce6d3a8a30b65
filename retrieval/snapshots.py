"""Published snapshots: read, compare, roll back.

A snapshot never changes. May not write documents (`ingest.py`) or search (`search.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import QuerySet

from retrieval import corpora, drafts, roots, statements
from retrieval.errors import RetrievalError
from retrieval.models import Change, Corpus, Snapshot


@dataclass(frozen=True)
class DocumentDiff:
    """A document that two snapshots see differently; null: the snapshot does not have it.

    Revisions count a document's contents; versions are their ids.
    """

    name: str
    revision_before: int | None
    version_before: int | None
    revision_after: int | None
    version_after: int | None

    @property
    def kind(self) -> str:
        """One of `added`, `removed`, `changed`."""
        if self.version_before is None:
            return "added"
        return "removed" if self.version_after is None else "changed"


def head(corpus: str) -> int | None:
    """Return the number of the newest published snapshot; null: nothing is published.

    Raises: RetrievalError `unknown_corpus`.
    """
    return corpora.get(corpus).head


def heads(names: Iterable[str]) -> dict[str, int | None]:
    """Return the heads of several corpora, read at one moment. Raises: RetrievalError `unknown_corpus`."""
    wanted = set(names)
    found = dict(Corpus.objects.filter(name__in=wanted).values_list("name", "head"))
    for name in sorted(wanted - set(found)):
        corpora.get(name)
    return found


def published(corpus: str) -> QuerySet[Snapshot]:
    """Snapshots that were published, newest first: number, documents, chunks, created_at, state.

    Keyset pages go on `number`.
    """
    return Snapshot.objects.filter(
        corpus=corpora.get(corpus), state__in=[Snapshot.State.PUBLISHED, Snapshot.State.COLLECTED]
    ).order_by("-number")


def get(corpus: str, number: int) -> Snapshot:
    """Return a published snapshot.

    Raises: RetrievalError `unknown_corpus`, `unknown_snapshot`, `snapshot_not_published`.
    """
    row = corpora.get(corpus)
    found = Snapshot.objects.filter(corpus=row, number=number).first()
    if found is None:
        raise unknown(corpus, number, row.head)
    if found.state != Snapshot.State.PUBLISHED:
        raise not_published(corpus, number, found.state)
    return found


def hold(corpus: str, number: int) -> int:
    """Return the number of a published snapshot that nobody can collect until the transaction ends.

    Raises: RetrievalError as `get`.
    """
    row = corpora.get(corpus)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM retrieval_snapshot WHERE corpus_id = %s AND number = %s FOR SHARE",
            [row.pk, number],
        )
    return get(corpus, number).number


def unknown(corpus: str, number: int, head: int | None) -> RetrievalError:
    newest = "none is published yet" if head is None else f"the newest is {head}"
    return RetrievalError("unknown_snapshot", f"Corpus {corpus!r} has no snapshot {number}; {newest}.")


def not_published(corpus: str, number: int, state: str) -> RetrievalError:
    return RetrievalError(
        "snapshot_not_published",
        f"Snapshot {number} of corpus {corpus!r} is {state}; only published ones can be read.",
    )


def changes(corpus: str, number: int) -> QuerySet[Change]:
    """What a snapshot did to each document, failed ones with their reasons, by name."""
    found = Change.objects.filter(corpus=corpora.get(corpus), number=number)
    return found.select_related("document", "version").defer("version__text").order_by("document__name", "pk")


def rollback(corpus: str, number: int, *, actor: str) -> Snapshot:
    """Publish a new snapshot equal to an older one; no vector is copied. An open draft is abandoned.

    Raises: RetrievalError `unknown_snapshot`, `snapshot_not_published`, `already_current`.
    """
    with transaction.atomic():
        row = drafts.locked_corpus(corpus)
        target = get(corpus, number)
        current = get(corpus, row.head) if row.head is not None else target
        if current.root_hash == target.root_hash:
            raise RetrievalError(
                "already_current",
                f"Corpus {corpus!r} already equals snapshot {number} (its head is {current.number}).",
            )
        drafts.abandon_open(row, reason=f"{actor} rolled the corpus back to snapshot {number}")
        copy = drafts.new(row, actor=actor, copy_of=number)
        statements.ledger_of_copy(row.id, copy.number, target=number)
        statements.copy_spans(row.id, copy.number, target=number)
        return drafts.settle(row, copy)


def diff(a: Snapshot, b: Snapshot) -> tuple[DocumentDiff, ...]:
    """List the documents that differ between two snapshots of one corpus, by name.

    Raises: RetrievalError `unknown_snapshot`.
    """
    if a.corpus_id != b.corpus_id:
        raise RetrievalError(
            "unknown_snapshot", "Snapshots of two corpora cannot be compared; name two of one corpus."
        )
    rows = statements.diff(a.corpus_id, a=a.number, b=b.number)
    return tuple(DocumentDiff(*row) for row in rows)


def verify(snapshot: Snapshot) -> bool:
    """Whether the documents that a snapshot sees give the root hash that it was published with.

    Reads all its documents: for tests, and for an operator in doubt.
    """
    leaves = statements.members(snapshot.corpus_id, snapshot.number)
    return roots.advance(roots.EMPTY, added=leaves, removed=()) == snapshot.root_hash
