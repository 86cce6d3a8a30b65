"""A corpus' documents: listed, and handed in as JSON or as files; a run, the ingest, takes them in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

from django.core.files.uploadedfile import UploadedFile
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, media, pages, run_shape
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.errors import InvalidRequestError
from console.api.openapi import answer, operation
from console.api.runs import waited
from console.problems import Fault
from retrieval import corpora, parsing
from retrieval.errors import RetrievalError
from retrieval.models import Document
from workflows import runs
from workflows.builtin import ingest
from workflows.builtin.ingest import Upload
from workflows.models import Run

MAX_FILES: Final = 200
_READABLE: Final = frozenset(parsing.TYPES.values())
_PDF_MAGIC: Final = b"%PDF-"


class DocumentShape(TypedDict):
    """A document at the head; null figures: it is in no snapshot yet."""

    name: str
    state: Literal["new", "processed", "failed", "removed"]
    reason: str
    revision: int | None
    media_type: str | None
    size: int | None
    chunks: int | None
    source: str | None
    metadata: dict[str, Any]
    updated_at: str


class DocumentPage(TypedDict):
    """Documents, newest first."""

    results: list[DocumentShape]
    next: str | None


class AcceptedShape(TypedDict):
    """What was taken in, and the run that ingests it."""

    documents: list[str]
    ingest: run_shape.RunShape


class IngestPage(TypedDict):
    """Ingests, which are runs, newest first."""

    results: list[run_shape.RunShape]
    next: str | None


class PutDocument(asking.Ask):
    """A text; the same name again is a new revision."""

    name: asking.Text = Field(min_length=1)
    text: str = Field(pattern=r"^[^\x00]*$", max_length=8 * 1024 * 1024)


class DocumentFilters(asking.Paged):
    """Which documents."""

    state: Literal["new", "processed", "failed", "removed"] | None = None
    q: asking.Text | None = Field(None, description="In the name.")


class Nothing(asking.Ask):
    """An ingest of the corpus' own sources takes no settings."""


_UPLOAD: Final[dict[str, Any]] = {
    "application/json": PutDocument,
    "multipart/form-data": {
        "type": "object",
        "required": ["file"],
        "properties": {
            "file": {"type": "string", "contentMediaType": "application/octet-stream"},
        },
        "additionalProperties": False,
    },
}


class Documents(Endpoint):
    """`/corpora/NAME/documents`."""

    permission_classes = needs("corpora.view", "corpora.ingest")
    parser_classes = (media.JsonParser, media.UploadParser)

    @operation(
        "List a corpus's documents",
        query=DocumentFilters,
        answers={200: answer(DocumentPage)},
        problems_too=[404],
    )
    def get(self, request: Request, name: str) -> Response:
        """List documents, newest first."""
        asked = asking.query(request, DocumentFilters)
        found = corpora.documents(name, state=asked.state or "", contains=asked.q or "")
        page = pages.by_number(found, cursor=asked.cursor, limit=asked.limit)
        return Response(page.as_json(_shape))

    @operation(
        "Add documents",
        asks=_UPLOAD,
        query=asking.Waiting,
        answers={202: answer(AcceptedShape)},
        problems_too=[404, 409],
    )
    def post(self, request: Request, name: str) -> Response:
        """Take documents in; the run in the answer parses, embeds and publishes them."""
        wait_s = asking.query(request, asking.Waiting).wait
        corpora.get(name)
        uploads = _uploads(request)
        run = ingest.start(
            name, actor=actor_of(request), trigger="api", documents=uploads, with_sources=False
        )
        shown = run_shape.of_run(waited(runs.get(run.pk), wait_s))
        accepted = AcceptedShape(documents=[each.name for each in uploads], ingest=shown)
        return Response(accepted, status=202, headers={"Location": run_shape.address(run.pk)})


class Ingests(Endpoint):
    """`/corpora/NAME/ingests`."""

    permission_classes = needs("corpora.view", "corpora.ingest")

    @operation(
        "List a corpus's ingests",
        query=asking.Paged,
        answers={200: answer(IngestPage)},
        problems_too=[404],
    )
    def get(self, request: Request, name: str) -> Response:
        """List the runs that took documents in, newest first."""
        asked = asking.query(request, asking.Paged)
        corpora.get(name)
        found = Run.objects.filter(workflow=ingest.WORKFLOW, tags__contains=[f"corpus:{name}"])
        page = pages.by_time(found.select_related("release"), cursor=asked.cursor, limit=asked.limit)
        return Response({"results": run_shape.of_runs(page.rows), "next": page.next})

    @operation(
        "Ingest a corpus's sources",
        asks=Nothing,
        query=asking.Waiting,
        answers={202: answer(run_shape.RunShape)},
        problems_too=[404, 409],
    )
    def post(self, request: Request, name: str) -> Response:
        """Read the corpus' sources again; what has not changed costs nothing."""
        wait_s = asking.query(request, asking.Waiting).wait
        asking.body(request, Nothing)
        corpora.get(name)
        run = ingest.start(name, actor=actor_of(request), trigger="api")
        shown = run_shape.of_run(waited(runs.get(run.pk), wait_s))
        return Response(shown, status=202, headers={"Location": run_shape.address(run.pk)})


def _uploads(request: Request) -> list[Upload]:
    """Return name, media type and bytes of everything that was sent; all of it readable at first sight."""
    sent = list(_files(request)) if request.FILES else [_text(request)]
    for each in sent:
        check(each.name, each.media_type, each.data)
    return sent


def _text(request: Request) -> Upload:
    if (request.content_type or "").startswith("multipart/"):
        raise InvalidRequestError((Fault(path="file", message="A file is expected in the field `file`."),))
    asked = asking.body(request, PutDocument)
    media_type = parsing.media_type_of(asked.name)
    readable = media_type if media_type in _READABLE - {"application/pdf"} else "text/plain"
    return Upload(asked.name, readable, asked.text.encode())


def _files(request: Request) -> Iterator[Upload]:
    files: Sequence[UploadedFile[Any]] = request.FILES.getlist("file")
    unknown = [*(set(request.FILES) - {"file"}), *request.POST]
    if unknown or not 1 <= len(files) <= MAX_FILES:
        message = f"1 to {MAX_FILES} files are expected in the field `file`, and nothing else."
        raise InvalidRequestError((Fault(path=sorted(unknown)[0] if unknown else "file", message=message),))
    for file in files:
        yield Upload(file.name or "", file.content_type or "", file.read())


def check(name: str, media_type: str, data: bytes) -> None:
    """Refuse at once what no ingest can read. Raises: RetrievalError `unreadable_document`."""
    kind = parsing.media_type_of(name, media_type)
    if not name.strip() or len(name) > 500 or not name.isprintable():
        raise _unreadable(name[:80], "its name has to have 1 to 500 printable characters")
    if kind not in _READABLE:
        raise _unreadable(name, f"the format {kind} is not supported (supported: md, txt, html, pdf)")
    if not data.strip():
        raise _unreadable(name, "it is empty")
    if kind == "application/pdf":
        if not data.startswith(_PDF_MAGIC):
            raise _unreadable(name, "it is not a PDF: it does not begin with %PDF-")
        return
    parsing.decode(data, name=name)


def _unreadable(name: str, why: str) -> RetrievalError:
    return RetrievalError("unreadable_document", f"{name!r} cannot be read: {why}.")


def _shape(found: Document) -> DocumentShape:
    version = found.version
    return DocumentShape(
        name=found.name,
        state=found.state,  # type: ignore[typeddict-item]  # a constraint of the table
        reason=found.reason,
        revision=version.number if version else None,
        media_type=version.media_type if version else None,
        size=version.size if version else None,
        chunks=version.chunks if version else None,
        source=version.source if version else None,
        metadata=version.metadata if version else {},
        updated_at=asking.moment(found.updated_at) or "",
    )
