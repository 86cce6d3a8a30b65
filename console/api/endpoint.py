"""What every endpoint shares: who asks, JSON in and out, errors as problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.exceptions import APIException
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.views import APIView

from console import access
from console.api import errors, media
from console.api.auth import BearerAuthentication, SessionAuthentication


class LengthRequired(APIException):
    """A body without an announced size would be taken for an empty one."""

    status_code = 411
    default_detail = "Send the body with a Content-Length; chunked transfer is not taken here."


class Endpoint(APIView):
    """One address. A subclass names its permission: `permission_classes = needs("runs.view")`."""

    authentication_classes = (BearerAuthentication, SessionAuthentication)
    parser_classes: tuple[type[BaseParser], ...] = (media.JsonParser,)
    renderer_classes = (media.JsonRenderer,)
    content_negotiation_class = media.OneAnswer
    throttle_classes = ()
    # No OPTIONS: the OpenAPI document says what an address takes.
    http_method_names = ["get", "head", "post"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check who asks, then that the body can be read."""
        if any("\0" in str(part) for part in kwargs.values()):
            raise errors.NotFoundError("No object has a NUL character in its name.")
        super().initial(request, *args, **kwargs)
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            raise LengthRequired

    def get_exception_handler(self) -> Callable[..., Any]:
        """Return the one that writes problems."""
        return errors.handle


def needs(read: str, write: str | None = None) -> tuple[type[access.RolePermission], ...]:
    """Name the permissions of an endpoint: for reading, and for changing where that differs."""
    return (access.permission_class(read, write),)
