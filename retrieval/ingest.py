"""Bring documents into a draft.

Every function may be repeated, after a crash or by two workers at once, and changes nothing the second time.
May not know of runs or queues; `embed` is called outside transactions. A draft is invisible to every search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction
from django.db.models import Max

from retrieval import contents, corpora, drafts, embedding, parsing, statements
from retrieval.contents import Content
from retrieval.drafts import Draft, abandon, open_draft, publish
from retrieval.embedding import Embed
from retrieval.errors import RetrievalError
from retrieval.models import Change, Corpus, Document, DocumentVersion
from retrieval.sources import SourceDocument, SourceFile, list_sources, read_source

__all__ = [
    "DocumentReport",
    "Draft",
    "SourceDocument",
    "SourceFile",
    "abandon",
    "add_document",
    "add_file",
    "list_sources",
    "open_draft",
    "publish",
    "remove_document",
]


@dataclass(frozen=True)
class DocumentReport:
    """What became of a document: `processed`, `unchanged` or `failed` with its reason.

    `revision` counts the contents that this document had, from 1; null: it was not read.
    """

    name: str
    state: str
    reason: str = ""
    chunks: int = 0
    revision: int | None = None


def add_file(
    draft: Draft, file: SourceFile, embed: Embed, *, roots: Sequence[Path], max_bytes: int = parsing.MAX_BYTES
) -> DocumentReport:
    """Read a listed file and add it; a file that is refused or cannot be read is reported as failed."""
    try:
        if file.refused:
            raise RetrievalError("outside_roots", file.refused)
        source = read_source(file, roots=roots, max_bytes=max_bytes)
    except RetrievalError as error:
        return _failed(draft, file.name, error)
    return add_document(draft, source, embed, max_bytes=max_bytes)


def add_document(
    draft: Draft, source: SourceDocument, embed: Embed, *, max_bytes: int = parsing.MAX_BYTES
) -> DocumentReport:
    """Parse, chunk, embed and write one document into a draft.

    A document at fault is reported, not raised. Raises: RetrievalError `draft_closed`, `wrong_dimensions`,
    `wrong_embedding`; what `embed` raises.
    """
    corpus = corpora.get(draft.corpus)
    settings = drafts.settings_of(corpus)
    try:
        checked = contents.check(source)
        known = _unchanged(corpus, draft, checked.name, contents.source_sha(checked, settings))
        if known is not None:
            return known
        content = contents.prepare(checked, settings, max_bytes=max_bytes)
    except RetrievalError as error:
        return _failed(draft, source.name, error)
    texts = {passage.sha: passage.text for passage in content.passages}
    embedding.fill_cache(texts, model=corpus.embedding, dims=corpus.dims, embed=embed)
    statements.insert_chunks(corpus.id, model=corpus.embedding, passages=content.passages)
    return _write(corpus, draft, content)


def remove_document(draft: Draft, name: str) -> bool:
    """Take a document out of the draft; False: it was not in there.

    One that could never be read is in no snapshot: it is only no longer listed as failed.

    Raises: RetrievalError `unknown_document`, `draft_closed`.
    """
    corpus = corpora.get(draft.corpus)
    with transaction.atomic():
        drafts.share(corpus, draft)
        document = Document.objects.select_for_update(no_key=True).filter(corpus=corpus, name=name).first()
        if document is None:
            raise RetrievalError("unknown_document", f"Corpus {draft.corpus!r} has no document {name!r}.")
        pending = _pending(corpus, draft, document)
        if document.version_id is None and (pending is None or pending.action != Change.Action.PUT):
            return _dismiss(document)
        if pending is not None and pending.action == Change.Action.REMOVE:
            return False
        statements.drop_document(corpus.id, draft.number, document=document.id)
        if document.version_id is None:
            _unnote(corpus, draft, document)
        else:
            _note(corpus, draft, document, Change.Action.REMOVE)
        return True


def _dismiss(document: Document) -> bool:
    """Forget that a document could not be read."""
    if document.state != Document.State.FAILED:
        return False
    document.state, document.reason = Document.State.REMOVED, ""
    document.save(update_fields=["state", "reason", "updated_at"])
    return True


def _unchanged(corpus: Corpus, draft: Draft, name: str, source_sha: bytes) -> DocumentReport | None:
    """Recognise the content that the draft already has, or will have when it is published."""
    document = Document.objects.filter(corpus=corpus, name=name).select_related("version").first()
    if document is None or document.state == Document.State.FAILED:
        return None
    pending = _pending(corpus, draft, document)
    if pending is not None and pending.action != Change.Action.FAILED:
        version = pending.version
    else:
        version = document.version
    if version is None or bytes(version.source_sha) != source_sha:
        return None
    return DocumentReport(name, "unchanged", chunks=version.chunks, revision=version.number)


def _pending(corpus: Corpus, draft: Draft, document: Document) -> Change | None:
    changes = Change.objects.filter(corpus=corpus, number=draft.number, document=document)
    return changes.select_related("version").defer("version__text").first()


def _write(corpus: Corpus, draft: Draft, content: Content) -> DocumentReport:
    """Put the version's spans into the draft, replacing what the draft had of this document."""
    with transaction.atomic():
        drafts.share(corpus, draft)
        document = _document(corpus, content.source.name)
        version = _version(corpus, document, content)
        pending = _pending(corpus, draft, document)
        report = DocumentReport(document.name, "processed", chunks=version.chunks, revision=version.number)
        if pending is not None and pending.version_id == version.id:
            return report
        statements.drop_document(corpus.id, draft.number, document=document.id)
        if document.version_id == version.id:
            _unnote(corpus, draft, document)
        else:
            _put(corpus, draft, document, version, content)
        if document.state == Document.State.FAILED:
            _set_state(document)
        return report


def _put(
    corpus: Corpus, draft: Draft, document: Document, version: DocumentVersion, content: Content
) -> None:
    written = statements.insert_spans(
        corpus.id,
        draft.number,
        model=corpus.embedding,
        document=document.id,
        version=version.id,
        passages=content.passages,
    )
    if written != len(content.passages):
        raise RuntimeError(
            f"Only {written} of {len(content.passages)} chunks of {document.name!r} were there to be placed."
        )
    _note(corpus, draft, document, Change.Action.PUT, version=version)


def _document(corpus: Corpus, name: str) -> Document:
    """Return the document, made if need be, locked until the transaction ends."""
    Document.objects.bulk_create([Document(corpus=corpus, name=name)], ignore_conflicts=True)
    return Document.objects.select_for_update(no_key=True).get(corpus=corpus, name=name)


def _version(corpus: Corpus, document: Document, content: Content) -> DocumentVersion:
    same = {"source_sha": content.source_sha, "content_sha": content.content_sha}
    versions = DocumentVersion.objects.filter(document=document).defer("text")
    found = versions.filter(**same).first()
    if found is not None:
        return found
    newest = versions.aggregate(number=Max("number"))["number"]
    return DocumentVersion.objects.create(
        corpus=corpus,
        document=document,
        number=(newest or 0) + 1,
        source=content.source.source,
        media_type=content.media_type,
        size=len(content.source.data),
        metadata=dict(content.metadata),
        text=content.text,
        chunks=len(content.passages),
        **same,
    )


def _note(
    corpus: Corpus,
    draft: Draft,
    document: Document,
    action: str,
    *,
    version: DocumentVersion | None = None,
    reason: str = "",
) -> None:
    Change.objects.update_or_create(
        corpus=corpus,
        number=draft.number,
        document=document,
        defaults={"action": action, "version": version, "reason": reason},
    )


def _unnote(corpus: Corpus, draft: Draft, document: Document) -> None:
    Change.objects.filter(corpus=corpus, number=draft.number, document=document).delete()


def _set_state(document: Document) -> None:
    document.state = Document.State.PROCESSED if document.version_id else Document.State.NEW
    document.reason = ""
    document.save(update_fields=["state", "reason", "updated_at"])


def _failed(draft: Draft, name: str, error: RetrievalError) -> DocumentReport:
    """Report a document at fault; what the corpus had of it before stays."""
    if not error.of_document:
        raise error
    if error.code != "bad_name":
        corpus = corpora.get(draft.corpus)
        with transaction.atomic():
            drafts.share(corpus, draft)
            document = _document(corpus, name)
            document.state, document.reason = Document.State.FAILED, error.message
            document.save(update_fields=["state", "reason", "updated_at"])
            pending = _pending(corpus, draft, document)
            if pending is None or pending.action == Change.Action.FAILED:
                _note(corpus, draft, document, Change.Action.FAILED, reason=error.message)
    return DocumentReport(name, "failed", reason=error.message)
