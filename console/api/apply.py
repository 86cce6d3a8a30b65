"""Definitions as documents: apply and export."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from django.http import HttpResponse
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from console.api import applying, asking, media
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.openapi import Raw, answer, operation
from workflows import definitions
from workflows.spec.documents import SourceText

DocumentKind = Literal[
    "Provider", "Route", "Prompt", "Tool", "Corpus", "Workflow", "Environment", "Schedule", "Webhook"
]

_DOCUMENT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["kind", "name"],
    "properties": {"kind": {"type": "string"}, "name": {"type": "string"}},
    "additionalProperties": True,
}
_ASKS: Final[dict[str, Any]] = {
    "application/json": {"type": "array", "items": _DOCUMENT},
    "application/yaml": {"type": "string", "description": "One or more YAML documents."},
}
_EXPORTED: Final[dict[str, Any]] = {
    "application/yaml": {"type": "string"},
    "application/json": {"type": "array", "items": _DOCUMENT},
}


class ApplyQuery(asking.Query):
    """How to apply."""

    dry_run: bool = Field(False, description="Only say what would be done.")


class ExportQuery(asking.Query):
    """What to export; without filters everything."""

    kind: Annotated[list[DocumentKind], Field(max_length=6, description="Any of these.")] | None = None
    name: Annotated[list[asking.Name], Field(max_length=200, description="Any of these.")] | None = None
    format: Literal["yaml", "json"] = "yaml"


class Apply(Endpoint):
    """`/apply`."""

    permission_classes = needs("definitions.apply")
    parser_classes = (media.YamlDocuments, media.JsonDocuments)

    @operation(
        "Apply definitions",
        asks=_ASKS,
        query=ApplyQuery,
        answers={200: answer(applying.PlanShape)},
        problems_too=[409],
    )
    def post(self, request: Request) -> Response:
        """Check all documents, then apply them in one transaction. All faults are told at once."""
        asked = asking.query(request, ApplyQuery)
        is_json = (request.content_type or "").startswith("application/json")
        # Without a body the framework parses nothing.
        given: object = request.data
        data = given if isinstance(given, bytes) else b""
        source = SourceText("body", data, "json" if is_json else "yaml")
        result = applying.apply([source], actor=actor_of(request), dry_run=asked.dry_run)
        return Response(applying.plan(result))


class Export(Endpoint):
    """`/export`."""

    permission_classes = needs("definitions.view")

    @operation(
        "Export definitions",
        query=ExportQuery,
        answers={200: Raw(_EXPORTED)},
    )
    def get(self, request: Request) -> HttpResponse:
        """Write documents back as they were applied: applying them again changes nothing."""
        asked = asking.query(request, ExportQuery)
        text = definitions.export(kinds=asked.kind, names=asked.name, format=asked.format)
        return HttpResponse(text.encode(), content_type=f"application/{asked.format}")
