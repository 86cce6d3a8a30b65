"""Bytes to values and back: strict JSON, raw documents, one kind of answer. Knows no resource."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from console import formats, strict_json

# What a multipart envelope adds to the file in it.
ENVELOPE_BYTES: Final = 64 * 1024


class TooLarge(APIException):
    """The body is larger than this address takes."""

    status_code = 413
    default_code = "too_large"


def too_large(size: int | None, limit: int) -> TooLarge:
    """Say how large a body may be."""
    has = f"has {formats.size(size)}" if size is not None else "is larger"
    return TooLarge(f"The request's body {has}; at most {formats.size(limit)} are taken here.")


def bounded(stream: Any, *, limit: int, context: Mapping[str, Any] | None) -> bytes:
    """Read a body whole, or refuse it as soon as it is known to be too large."""
    request = (context or {}).get("request")
    announced = content_length(request) if request is not None else None
    if announced is not None and announced > limit:
        raise too_large(announced, limit)
    data: bytes = stream.read(limit + 1)
    if len(data) > limit:
        raise too_large(None, limit)
    return data


def content_length(request: Request) -> int | None:
    """Return the announced size of the body, None where there is no readable one."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return None


def loads(data: bytes) -> Any:
    """Read strict JSON. Raises: ParseError."""
    try:
        return strict_json.loads(data)
    except strict_json.JsonError as error:
        raise ParseError(f"The body is not taken: {error}") from None


class JsonParser(BaseParser):
    """`application/json` up to DATA_UPLOAD_MAX_MEMORY_SIZE."""

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the JSON value; an empty body is an empty object."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        data = bounded(stream, limit=limit, context=parser_context)
        return loads(data) if data.strip() else {}


class UploadParser(MultiPartParser):
    """`multipart/form-data` up to UPLOAD_MAX_BYTES; large files go to disk as they come."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the fields and files."""
        request = (parser_context or {}).get("request")
        size = content_length(request) if request is not None else None
        if size is not None and size > settings.UPLOAD_MAX_BYTES + ENVELOPE_BYTES:
            raise too_large(size, settings.UPLOAD_MAX_BYTES)
        return super().parse(stream, media_type, dict(parser_context or {}))


class _DocumentParser(BaseParser):
    """Definitions as they came: `workflows.spec` reads them, and says where they are wrong."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the bytes."""
        return bounded(stream, limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE, context=parser_context)


class YamlDocuments(_DocumentParser):
    """Multi-document YAML."""

    media_type = "application/yaml"


class JsonDocuments(_DocumentParser):
    """A JSON list of documents, or one of them."""

    media_type = "application/json"


class JsonRenderer(BaseRenderer):
    """ASCII JSON: lone surrogates and NULs of payloads survive as escapes."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Write a value; nothing is an empty body."""
        if data is None:
            return b""
        return json.dumps(data, separators=(",", ":"), allow_nan=False).encode("ascii")


class OneAnswer(BaseContentNegotiation):
    """Always the one form that an address has, whatever `Accept` says: errors must reach everybody."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Return the parser for the body's content type."""
        wanted = (request.content_type or "").split(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == wanted), None)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[Any, str]:
        """Return the first renderer."""
        return renderers[0], renderers[0].media_type


def parser_names(view: APIView) -> str:
    """List the content types that an address takes, for a message."""
    return ", ".join(parser.media_type or "" for parser in view.parser_classes)
