"""Functions of the product's own workflows, called by their `tool` steps inside the worker.

Each is safe to repeat: a worker may die in the middle of it. Those here may not start or change runs; modules
above the engine whose functions do register them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from retrieval import corpora, drafts, ingest, snapshots
from retrieval.errors import RetrievalError
from retrieval.models import Corpus, Snapshot
from workflows import curation
from workflows.builtin import uploads
from workflows.engine.outcomes import StepFailure
from workflows.errors import WorkflowError
from workflows.models import Run

Json = Any


@dataclass(frozen=True)
class Here:
    """What a function may know of where it runs. `embed(model, texts)` gives `(n, dim) float32`."""

    run: str
    cancelled: Callable[[], bool]
    embed: Callable[[str, Sequence[str]], NDArray[np.float32]]


Function = Callable[[Mapping[str, Json], Here], Json]


def call(name: str, arguments: Mapping[str, Json], here: Here) -> Json:
    """Call a function by name. Raises: StepFailure."""
    try:
        return FUNCTIONS[name](arguments, here)
    except (RetrievalError, WorkflowError) as error:
        raise StepFailure(error.message, error_class=error.code) from error


def ingest_open(arguments: Mapping[str, Json], here: Here) -> Json:
    """List what is to be ingested, and open the draft that it goes into.

    A draft that a run left behind when it ended is given up. One that another run still fills is waited for:
    `draft_open` is retried by the workflow.
    """
    corpus = corpora.get(arguments["corpus"])
    files = []
    if arguments["paths"]:
        files = [
            asdict(file) for file in ingest.list_sources(arguments["paths"], roots=settings.CORPUS_ROOTS)
        ]
    if corpus.publish == "auto":
        _give_up_orphan(corpus)
    draft = ingest.open_draft(corpus.name, actor=_owner(corpus, here))
    items = [{"file": file} for file in files] + [{"upload": upload} for upload in arguments["uploads"]]
    return {"draft": draft.number, "items": items}


def _owner(corpus: Corpus, here: Here) -> str:
    """Who a draft belongs to: one run, or, where a person publishes, everybody until then."""
    return here.run if corpus.publish == "auto" else f"{curation.MANUAL}{corpus.name}"


def _give_up_orphan(corpus: Corpus) -> None:
    left = Snapshot.objects.filter(corpus=corpus, state=Snapshot.State.DRAFT).first()
    if left is not None and Run.objects.filter(pk=left.actor, ended_at__isnull=False).exists():
        drafts.abandon(
            drafts.Draft(corpus.name, left.number), reason=f"run {left.actor} ended without publishing"
        )


def ingest_add(arguments: Mapping[str, Json], here: Here) -> Json:
    """Bring one document into the draft; a bad one is reported with its reason."""
    corpus = corpora.get(arguments["corpus"])
    draft = drafts.Draft(corpus.name, arguments["draft"])
    item = arguments["item"]

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return here.embed(corpus.embedding, texts)

    if "file" in item:
        report = ingest.add_file(
            draft,
            ingest.SourceFile(**item["file"]),
            embed,
            roots=settings.CORPUS_ROOTS,
            max_bytes=settings.UPLOAD_MAX_BYTES,
        )
    else:
        upload = item["upload"]
        source = ingest.SourceDocument(
            upload["name"],
            upload["media_type"],
            uploads.read(upload["sha"]),
            metadata=upload.get("metadata", {}),
        )
        report = ingest.add_document(draft, source, embed, max_bytes=settings.UPLOAD_MAX_BYTES)
    return asdict(report)


def ingest_publish(arguments: Mapping[str, Json], here: Here) -> Json:
    """Publish the draft, or leave it to a person where the corpus says so."""
    corpus = corpora.get(arguments["corpus"])
    counts = {"processed": 0, "unchanged": 0, "failed": 0}
    for report in arguments["reports"]:
        counts[report["state"] if report else "failed"] += 1
    if corpus.publish == "auto":
        ingest.publish(drafts.Draft(corpus.name, arguments["draft"]))
    head = snapshots.head(corpus.name)
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return {"summary": f"Snapshot {head}: {told or 'nothing to do'}", "snapshot": head, **counts}


def register(name: str, function: Function) -> None:
    """Make a function of a module above the engine known to built-in tools."""
    FUNCTIONS[name] = function


FUNCTIONS: Final[dict[str, Function]] = {
    "ingest_open": ingest_open,
    "ingest_add": ingest_add,
    "ingest_publish": ingest_publish,
}
