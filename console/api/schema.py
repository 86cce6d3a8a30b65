"""The OpenAPI document, the page that shows it, and the answer for addresses that do not exist."""

from __future__ import annotations

import functools
import json
from typing import Any, NoReturn

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from console import access
from console.api.endpoint import Endpoint, needs
from console.api.errors import NotFoundError


@functools.cache
def document() -> bytes:
    """Return the OpenAPI document as JSON; it cannot change while the process lives."""
    generator = SchemaGenerator(urlconf="console.urls")  # type: ignore[no-untyped-call]
    found: dict[str, Any] = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return json.dumps(found).encode("ascii")


class Schema(Endpoint):
    """`/schema/`."""

    permission_classes = needs("console.use")

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """Answer with the OpenAPI 3.1 document."""
        return HttpResponse(document(), content_type="application/json")


@access.requires("console.use")
def docs(request: HttpRequest) -> HttpResponse:
    """Show the document, to be tried out."""
    return render(request, "api/docs.html", {"schema_url": reverse("api-schema")})


@extend_schema(exclude=True)
class Unknown(Endpoint):
    """Every other address under /api/: a problem, never a page and never a redirect."""

    authentication_classes = ()  # type: ignore[assignment]  # nobody has to be anybody
    permission_classes = ()
    http_method_names = ["get", "head", "post", "put", "patch", "delete", "options", "trace"]

    def _refuse(self, request: Request, *parts: str, **named: str) -> NoReturn:
        hint = " Paths have no slash at their end." if request.path.endswith("/") else ""
        raise NotFoundError(f"There is no such address in the API.{hint} All are in /api/v1/schema/.")

    get = post = put = patch = delete = options = trace = _refuse  # type: ignore[assignment]
