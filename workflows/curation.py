"""What a person changes in a corpus: rolled back, published by hand, documents removed. Each is audited.

Documents come in by an ingest, which is a run: `builtin/ingest.py`. May not search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db import transaction

from retrieval import corpora, drafts, ingest, snapshots
from retrieval.errors import RetrievalError
from retrieval.models import Change, Corpus, Snapshot
from workflows import audit
from workflows.actor import Actor

# Where a person publishes, everybody fills one draft until then.
MANUAL: Final = "manual:"


def roll_back(corpus: str, number: int, *, actor: Actor, reason: str) -> Snapshot:
    """Publish a new snapshot equal to an older one.

    Raises: RetrievalError `unknown_corpus`, `unknown_snapshot`, `snapshot_not_published`, `already_current`.
    """
    with transaction.atomic():
        made = snapshots.rollback(corpus, number, actor=str(actor))
        told = {"snapshot": made.number, "copy_of": number}
        audit.record(actor, "corpus.rollback", "corpus", corpus, reason=reason, data=told)
    return made


def remove_documents(corpus: str, names: Sequence[str], *, actor: Actor, reason: str) -> Snapshot | None:
    """Take documents out of the next snapshot, and publish it unless this corpus is published by hand.

    Older snapshots, and runs that pinned one, keep them. Null: it is in the open draft, or nothing was there.

    Raises: RetrievalError `unknown_corpus`, `unknown_document`, `draft_open` while an ingest is under way.
    """
    with transaction.atomic():
        row = corpora.get(corpus)
        by_hand = row.publish == Corpus.Publish.MANUAL
        draft = drafts.open_draft(corpus, actor=f"{MANUAL}{corpus}" if by_hand else str(actor))
        removed = [name for name in names if ingest.remove_document(draft, name)]
        made = None if by_hand else drafts.publish(draft)
        told = {"documents": removed[:100], "count": len(removed), "snapshot": made.number if made else None}
        audit.record(actor, "corpus.remove_documents", "corpus", corpus, reason=reason, data=told)
    return made


def open_draft(corpus: Corpus) -> Snapshot | None:
    """Return the draft that a person may publish; null where there is none, or an ingest publishes by itself."""
    found = Snapshot.objects.filter(corpus=corpus, state=Snapshot.State.DRAFT).first()
    return found if found and found.actor == f"{MANUAL}{corpus.name}" else None


def pending(corpus: Corpus, draft: Snapshot) -> dict[str, int]:
    """Count what a draft would change, by action."""
    actions = Change.objects.filter(corpus=corpus, number=draft.number).values_list("action", flat=True)
    return {action: list(actions).count(action) for action in ("put", "remove", "failed")}


def publish(corpus: str, *, actor: Actor, reason: str) -> Snapshot | None:
    """Publish the draft of a corpus that is published by hand. Null: it changed nothing and was given up.

    Raises: RetrievalError `unknown_corpus`, `draft_closed`.
    """
    with transaction.atomic():
        row = corpora.get(corpus)
        draft = open_draft(row)
        if draft is None:
            raise RetrievalError(
                "draft_closed", f"Corpus {corpus!r} has no draft that waits to be published."
            )
        made = drafts.publish(drafts.Draft(corpus, draft.number))
        told = {"snapshot": made.number if made else None, "draft": draft.number}
        audit.record(actor, "corpus.publish", "corpus", corpus, reason=reason, data=told)
    return made
