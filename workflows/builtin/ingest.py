"""Start the ingest of a corpus as a run of the built-in workflow `interlock-ingest`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from retrieval import corpora
from retrieval.errors import RetrievalError
from workflows import runs
from workflows.actor import Actor
from workflows.builtin import setup, uploads
from workflows.errors import Invalid, UnknownObject
from workflows.models import Definition, Run

WORKFLOW: Final = "interlock-ingest"


@dataclass(frozen=True)
class Upload:
    """A document as it came in; the same `name` again is a new revision."""

    name: str
    media_type: str
    data: bytes
    metadata: dict[str, Any] | None = None


def start(
    corpus: str, *, actor: Actor, trigger: str, documents: Sequence[Upload] = (), with_sources: bool = True
) -> Run:
    """Ingest uploaded documents and, if wanted, the sources that the corpus' document names.

    Raises:
        UnknownObject: no such corpus.
        Invalid: there is nothing to ingest, or a document is too large.
    """
    try:
        corpora.get(corpus)
    except RetrievalError as error:
        raise UnknownObject(error.message, code=error.code) from error
    paths = _sources(corpus) if with_sources else []
    if not paths and not documents:
        raise Invalid(
            f"Corpus {corpus} names no sources, and no document was given: upload one, or add `sources` to it.",
            code="nothing_to_ingest",
        )
    kept = [_keep(document) for document in documents]
    setup.ensure()
    count = f"{len(kept)} uploaded" if kept else "its sources"
    order = runs.Order(
        workflow=WORKFLOW,
        input={"corpus": corpus, "paths": paths, "uploads": kept},
        title=f"Ingest {corpus}: {count}",
        tags=(f"corpus:{corpus}",),
    )
    return runs.start(order, actor=actor, trigger=trigger).run


def _sources(corpus: str) -> list[str]:
    """Return the paths that the newest version of the Corpus document names."""
    definition = Definition.objects.filter(kind="Corpus", name=corpus).first()
    if definition is None:
        return []
    body = definition.versions.get(version=definition.latest_version).body
    return [source["path"] for source in body.get("sources", []) if "path" in source]


def _keep(document: Upload) -> dict[str, Any]:
    size, limit = len(document.data), settings.UPLOAD_MAX_BYTES
    if size > limit:
        raise Invalid(
            f"Document {document.name} has {size:,} bytes; {limit:,} are allowed (INTERLOCK_UPLOAD_MAX_MB).",
            code="too_large",
        )
    return {
        "name": document.name,
        "media_type": document.media_type,
        "sha": uploads.keep(document.data),
        "metadata": document.metadata or {},
    }
