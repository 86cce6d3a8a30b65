"""Take documents out of every retrieval at once, pinned runs included, and let them back in.

An overlay: snapshots do not change. May not look for the runs that used a document (the layer above does, by
the hits recorded here).
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from retrieval import drafts
from retrieval.errors import RetrievalError
from retrieval.models import Corpus, Document, Quarantine


def mark(corpus: str, document: str, *, reason: str, actor: str) -> Quarantine:
    """Quarantine a document in all its versions; one that is marked already stays as it is.

    Raises: RetrievalError `unknown_corpus`, `unknown_document`.
    """
    with transaction.atomic():
        row = drafts.locked_corpus(corpus)
        found = Document.objects.filter(corpus=row, name=document).first()
        if found is None:
            raise RetrievalError("unknown_document", f"Corpus {corpus!r} has no document {document!r}.")
        active = Quarantine.objects.filter(document=found, lifted_epoch=None).first()
        return active or Quarantine.objects.create(
            corpus=row, document=found, reason=reason, actor=actor, epoch=_next_epoch(row)
        )


def lift(quarantine_id: int, *, actor: str) -> Quarantine:
    """Let a document back in; one that was lifted before stays as it is.

    Raises: RetrievalError `unknown_document`.
    """
    with transaction.atomic():
        found = Quarantine.objects.select_related("corpus").filter(pk=quarantine_id).first()
        if found is None:
            raise RetrievalError("unknown_document", f"There is no quarantine {quarantine_id}.")
        corpus = drafts.locked_corpus(found.corpus.name)
        found = Quarantine.objects.get(pk=quarantine_id)
        if found.lifted_epoch is None:
            found.lifted_epoch = _next_epoch(corpus)
            found.lifted_at, found.lifted_by = timezone.now(), actor
            found.save(update_fields=["lifted_epoch", "lifted_at", "lifted_by"])
        return found


def lift_document(corpus: str, document: str, *, actor: str) -> None:
    """Let a document back in by its name; where it is not marked, nothing happens."""
    found = Quarantine.objects.filter(corpus__name=corpus, document__name=document, lifted_epoch=None).first()
    if found is not None:
        lift(found.pk, actor=actor)


def _next_epoch(corpus: Corpus) -> int:
    Corpus.objects.filter(pk=corpus.pk).update(quarantine_epoch=F("quarantine_epoch") + 1)
    corpus.refresh_from_db(fields=["quarantine_epoch"])
    return corpus.quarantine_epoch
