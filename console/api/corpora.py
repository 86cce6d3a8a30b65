"""Corpora: their settings and figures, their snapshots, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from django.db.models import F
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, pages
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from retrieval import corpora, snapshots
from retrieval.models import Corpus, Snapshot
from workflows import curation


class ChunkSizes(TypedDict):
    """How documents are cut, in tokens."""

    tokens: int
    overlap: int


class CorpusShape(TypedDict):
    """One corpus; `head` is its newest snapshot, null while nothing is published."""

    name: str
    embedding: str
    dims: int
    chunk: ChunkSizes
    publish: Literal["auto", "manual"]
    head: int | None
    documents: int
    chunks: int
    created_at: str
    published_at: str | None


class CorpusPage(TypedDict):
    """Corpora, newest first."""

    results: list[CorpusShape]
    next: str | None


class SnapshotShape(TypedDict):
    """One published, immutable state of a corpus."""

    number: int
    documents: int
    chunks: int
    created_at: str
    published_at: str | None
    state: Literal["published", "collected"]
    copy_of: int | None
    created_by: str


class SnapshotPage(TypedDict):
    """Published snapshots, newest first."""

    results: list[SnapshotShape]
    next: str | None


class DifferenceShape(TypedDict):
    """A document that two snapshots see differently; a revision is null where a snapshot lacks it."""

    name: str
    change: Literal["added", "removed", "changed"]
    revision_before: int | None
    revision_after: int | None


class DifferencePage(TypedDict):
    """Differences, by the documents' names."""

    results: list[DifferenceShape]
    next: str | None


class Rollback(asking.Ask):
    """Why, for the audit log."""

    reason: asking.LongText = ""


class Corpora(Endpoint):
    """`/corpora`."""

    permission_classes = needs("corpora.view")

    @operation("List corpora", query=asking.Paged, answers={200: answer(CorpusPage)})
    def get(self, request: Request) -> Response:
        """List corpora, newest first."""
        asked = asking.query(request, asking.Paged)
        page = pages.by_number(Corpus.objects.all(), cursor=asked.cursor, limit=asked.limit)
        heads = _heads(page.rows)
        return Response(page.as_json(lambda corpus: _corpus(corpus, heads.get(corpus.pk))))


class OneCorpus(Endpoint):
    """`/corpora/NAME`."""

    permission_classes = needs("corpora.view")

    @operation("Show a corpus", answers={200: answer(CorpusShape)}, problems_too=[404])
    def get(self, request: Request, name: str) -> Response:
        """Show settings and figures."""
        corpus = corpora.get(name)
        return Response(_corpus(corpus, _heads([corpus]).get(corpus.pk)))


class Snapshots(Endpoint):
    """`/corpora/NAME/snapshots`."""

    permission_classes = needs("corpora.view")

    @operation(
        "List a corpus's snapshots",
        query=asking.Paged,
        answers={200: answer(SnapshotPage)},
        problems_too=[404],
    )
    def get(self, request: Request, name: str) -> Response:
        """List published snapshots, newest first."""
        asked = asking.query(request, asking.Paged)
        page = pages.by_number(
            snapshots.published(name), cursor=asked.cursor, limit=asked.limit, field="number"
        )
        return Response(page.as_json(_snapshot))


class RollbackSnapshot(Endpoint):
    """`/corpora/NAME/snapshots/N/rollback`."""

    permission_classes = needs("corpora.publish")

    @operation(
        "Roll a corpus back", asks=Rollback, answers={201: answer(SnapshotShape)}, problems_too=[404, 409]
    )
    def post(self, request: Request, name: str, number: int) -> Response:
        """Publish a new snapshot equal to an older one."""
        asked = asking.body(request, Rollback)
        made = curation.roll_back(name, number, actor=actor_of(request), reason=asked.reason)
        return Response(_snapshot(made), status=201)


class DiffSnapshots(Endpoint):
    """`/corpora/NAME/snapshots/A/diff/B`."""

    permission_classes = needs("corpora.view")

    @operation(
        "Compare two snapshots",
        query=asking.Paged,
        answers={200: answer(DifferencePage)},
        problems_too=[404, 409],
    )
    def get(self, request: Request, name: str, before: int, after: int) -> Response:
        """List the documents that differ, by name."""
        asked = asking.query(request, asking.Paged)
        found = snapshots.diff(snapshots.get(name, before), snapshots.get(name, after))
        if asked.cursor:
            (place,) = pages.decode(asked.cursor, [str])
            found = tuple(each for each in found if each.name > place)
        shown = found[: asked.limit]
        further = pages.encode(shown[-1].name) if len(found) > len(shown) else None
        return Response({"results": [_difference(each) for each in shown], "next": further})


def _heads(found: Sequence[Corpus]) -> dict[int, Snapshot]:
    """Return the newest published snapshot of each; one query."""
    newest = Snapshot.objects.filter(corpus__in=found, number=F("corpus__head"))
    return {snapshot.corpus_id: snapshot for snapshot in newest}


def _corpus(found: Corpus, head: Snapshot | None) -> CorpusShape:
    return CorpusShape(
        name=found.name,
        embedding=found.embedding,
        dims=found.dims,
        chunk=ChunkSizes(tokens=found.chunk_tokens, overlap=found.chunk_overlap),
        publish=found.publish,  # type: ignore[typeddict-item]  # a choice of the table
        head=found.head,
        documents=head.documents if head else 0,
        chunks=head.chunks if head else 0,
        created_at=asking.moment(found.created_at) or "",
        published_at=asking.moment(head.published_at) if head else None,
    )


def _snapshot(found: Snapshot) -> SnapshotShape:
    return SnapshotShape(
        number=found.number,
        documents=found.documents,
        chunks=found.chunks,
        created_at=asking.moment(found.created_at) or "",
        published_at=asking.moment(found.published_at),
        state=found.state,  # type: ignore[typeddict-item]  # a constraint of the table
        copy_of=found.copy_of,
        created_by=found.actor,
    )


def _difference(found: snapshots.DocumentDiff) -> DifferenceShape:
    return DifferenceShape(
        name=found.name,
        change=found.kind,  # type: ignore[typeddict-item]  # one of the three
        revision_before=found.revision_before,
        revision_after=found.revision_after,
    )
