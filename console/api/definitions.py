"""Prompts, workflows, routes, providers and tools: the same addresses for each kind of document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import F, QuerySet
from django.urls import URLPattern, path
from pydantic import ConfigDict, Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import applying, asking, pages
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.errors import InvalidRequestError
from console.api.openapi import answer, operation
from console.problems import Fault
from workflows import definitions, reserved
from workflows.models import DefinitionVersion


@dataclass(frozen=True)
class Kind:
    """A kind of document and how its addresses call it."""

    kind: str
    plural: str

    @property
    def word(self) -> str:
        return self.kind.lower()


KINDS: Final = tuple(
    Kind(kind, f"{kind.lower()}s") for kind in ("Prompt", "Workflow", "Route", "Provider", "Tool")
)


class VersionShape(TypedDict):
    """One immutable version of a document; `body` is in its author's terms."""

    kind: str
    name: str
    version: int
    content_hash: str
    created_at: str
    created_by: str
    body: dict[str, Any]


class VersionPage(TypedDict):
    """Versions, newest first."""

    results: list[VersionShape]
    next: str | None


class Save(asking.Ask):
    """A document of this kind, as in the definition language; `kind` may be left out."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    name: asking.Name


class WhichVersion(asking.Query):
    """A version; without it the newest."""

    version: asking.Number | None = None


class Listing(asking.Paged):
    """Which documents."""

    q: asking.Text | None = Field(None, description="In the name.")


def addresses() -> list[URLPattern]:
    """Return the addresses of every kind."""
    return [pattern for kind in KINDS for pattern in _of_kind(kind)]


def _of_kind(kind: Kind) -> list[URLPattern]:
    base = kind.plural
    return [
        path(base, _listing(kind).as_view()),
        path(f"{base}/<str:name>", _one(kind).as_view()),
        path(f"{base}/<str:name>/versions", _versions(kind).as_view()),
    ]


def _listing(kind: Kind) -> type[Endpoint]:
    class Definitions(Endpoint):
        permission_classes = needs("definitions.view", "definitions.apply")

        @operation(
            f"List {kind.plural}",
            query=Listing,
            answers={200: answer(VersionPage)},
            description="The newest version of each, newest document first.",
        )
        def get(self, request: Request) -> Response:
            asked = asking.query(request, Listing)
            page = pages.by_number(
                _newest(kind, asked.q),
                cursor=asked.cursor,
                limit=asked.limit,
                field="definition_id",
            )
            return Response(page.as_json(shape))

        @operation(
            f"Save a {kind.word}",
            asks=Save,
            answers={201: answer(VersionShape), 200: answer(VersionShape)},
            problems_too=[409],
            description="201 and a new version; 200 and the newest where nothing changed.",
        )
        def post(self, request: Request) -> Response:
            asked = asking.body(request, Save)
            document = {"name": asked.name, **(asked.model_extra or {})}
            _check_kind(document, kind)
            change = applying.save(kind.kind, document, actor=actor_of(request))
            found = shape(definitions.get(kind.kind, asked.name, None))
            return Response(found, status=200 if change.action == "unchanged" else 201)

    return Definitions


def _newest(kind: Kind, text: str | None) -> QuerySet[DefinitionVersion]:
    """The newest versions of a kind, without what came with the product."""
    newest = DefinitionVersion.objects.select_related("definition").filter(
        definition__kind=kind.kind, definition__archived_at=None, version=F("definition__latest_version")
    )
    newest = newest.exclude(definition__name__startswith=reserved.PREFIX)
    return newest.filter(definition__name__icontains=text) if text else newest


def _one(kind: Kind) -> type[Endpoint]:
    class Definition(Endpoint):
        permission_classes = needs("definitions.view")

        @operation(
            f"Show a {kind.word}",
            query=WhichVersion,
            answers={200: answer(VersionShape)},
            problems_too=[404],
        )
        def get(self, request: Request, name: str) -> Response:
            asked = asking.query(request, WhichVersion)
            return Response(shape(definitions.get(kind.kind, name, asked.version)))

    return Definition


def _versions(kind: Kind) -> type[Endpoint]:
    class Versions(Endpoint):
        permission_classes = needs("definitions.view")

        @operation(
            f"List a {kind.word}'s versions",
            query=asking.Paged,
            answers={200: answer(VersionPage)},
            problems_too=[404],
        )
        def get(self, request: Request, name: str) -> Response:
            asked = asking.query(request, asking.Paged)
            newest = definitions.get(kind.kind, name, None)
            found = DefinitionVersion.objects.filter(definition_id=newest.definition_id)
            page = pages.by_number(
                found.select_related("definition"), cursor=asked.cursor, limit=asked.limit, field="version"
            )
            return Response(page.as_json(shape))

    return Versions


def shape(found: DefinitionVersion) -> VersionShape:
    """Write a version; its definition is expected to be there already."""
    return VersionShape(
        kind=found.definition.kind,
        name=found.definition.name,
        version=found.version,
        content_hash=found.content_hash,
        created_at=asking.moment(found.created_at) or "",
        created_by=found.created_by,
        body=found.body,
    )


def _check_kind(body: dict[str, Any], kind: Kind) -> None:
    if body.get("kind", kind.kind) != kind.kind:
        raise InvalidRequestError(
            (Fault(path="kind", message=f"Only {kind.kind} documents are saved here."),)
        )
