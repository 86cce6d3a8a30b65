"""Exceptions to problems: the one table of what each error of the layers below means over HTTP.

It may not decide anything else: no retry, no rollback, no change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import psycopg
import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from psycopg_pool import PoolTimeout
from rest_framework import exceptions
from rest_framework.request import Request

from console import problems
from console.problems import Fault, Problem
from providers.errors import ProviderError
from retrieval.errors import RetrievalError
from workflows.errors import Conflict, Invalid, Refused, TooMany, UnknownObject, WorkflowError
from workflows.payloads import PayloadMissing

_log = structlog.get_logger("interlock.api")

WORKFLOW_STATUS: Final[Mapping[type[WorkflowError], int]] = {
    UnknownObject: 404,
    Conflict: 409,
    Invalid: 422,
    Refused: 403,
    TooMany: 429,
}
RETRIEVAL_STATUS: Final[Mapping[str, int]] = {
    "unknown_corpus": 404,
    "unknown_snapshot": 404,
    "unknown_document": 404,
    "corpus_empty": 409,
    "snapshot_not_published": 409,
    "already_current": 409,
    "draft_open": 409,
    "draft_closed": 409,
    "embedding_changed": 409,
    "too_large": 413,
}
DATABASE_AWAY: Final = (OperationalError, InterfaceError, psycopg.OperationalError, PoolTimeout)
FRAMEWORK_CODES: Final[Mapping[int, str]] = {
    400: "malformed_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    411: "length_required",
    413: "too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
}


class InvalidRequestError(Exception):
    """The request's own shape is wrong: unknown fields, wrong types, values out of bounds."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in faults))
        self.faults = faults


class NotFoundError(Exception):
    """The address is right and there is no such object."""


def handle(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """Answer for whatever an endpoint raised; what nobody expected is logged and tells nothing."""
    request: Request = context["request"]
    plain = request._request
    problem = problem_of(error)
    if problem is None:
        # The test client and error trackers listen to this signal.
        got_request_exception.send(sender=None, request=plain)
        _log.exception("api_error", path=plain.path, method=plain.method, exc_info=error)
        problem = unexpected()
    elif problem.status >= 500:
        _log.warning("api_unavailable", path=plain.path, code=problem.code, reason=str(error))
    return problems.response(plain, problem)


def problem_of(error: Exception) -> Problem | None:
    """Return the problem that an error is to the outside; None for a fault of ours."""
    if isinstance(error, WorkflowError | RetrievalError | ProviderError | PayloadMissing):
        return _of_domain(error)
    if isinstance(error, InvalidRequestError):
        return Problem(
            status=422,
            code="invalid_request",
            title="Invalid request",
            detail=_first(error.faults),
            errors=error.faults,
        )
    if isinstance(error, NotFoundError | Http404):
        return Problem(status=404, code="not_found", detail=_text(error) or "There is nothing here.")
    if isinstance(error, DATABASE_AWAY):
        return _database_away()
    return _of_framework(error)


def _first(faults: tuple[Fault, ...]) -> str:
    first = faults[0]
    message = first.message.rstrip(".") + "."
    more = f" ({len(faults) - 1} more in `errors`.)" if len(faults) > 1 else ""
    return f"{first.path}: {message}{more}" if first.path else message[:1].upper() + message[1:] + more


def _of_domain(error: WorkflowError | RetrievalError | ProviderError | PayloadMissing) -> Problem:
    if isinstance(error, WorkflowError):
        status = next((code for kind, code in WORKFLOW_STATUS.items() if isinstance(error, kind)), 422)
        status = 413 if error.code == "too_large" else status
        faults = tuple(Fault(path=path, message=message) for path, message in error.errors)
        headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, TooMany) else {}
        return Problem(status=status, code=error.code, detail=error.message, errors=faults, headers=headers)
    if isinstance(error, RetrievalError):
        return Problem(status=RETRIEVAL_STATUS.get(error.code, 422), code=error.code, detail=error.message)
    if isinstance(error, PayloadMissing):
        return Problem(status=410, code="payload_gone", detail=str(error))
    return _of_provider(error)


def _of_provider(error: ProviderError) -> Problem:
    """A provider failed while we answered: a search that had to embed its query."""
    wait_s = getattr(error, "retry_after_s", None)
    headers = {"Retry-After": str(max(1, round(wait_s)))} if wait_s else {}
    status = 504 if error.error_class in {"timeout", "deadline"} else 502
    detail = f"Provider {error.provider} failed: {error.message}" if error.provider else error.message
    return Problem(status=status, code=f"provider_{error.error_class}", detail=detail, headers=headers)


def _of_framework(error: Exception) -> Problem | None:
    if isinstance(error, PermissionDenied):
        return Problem(status=403, code="forbidden", detail=_text(error) or "You may not do this.")
    if isinstance(error, RequestDataTooBig):
        return Problem(status=413, code="too_large", detail=_text(error))
    if isinstance(error, SuspiciousOperation | MultiPartParserError | UnicodeError):
        return Problem(status=400, code="malformed_request", detail="The server could not read this request.")
    if not isinstance(error, exceptions.APIException):
        return None
    return Problem(
        status=error.status_code,
        code=FRAMEWORK_CODES.get(error.status_code, "request_refused"),
        detail=_sentence(error),
        headers=_headers(error),
    )


def _sentence(error: exceptions.APIException) -> str:
    detail = error.detail
    if isinstance(error, exceptions.NotAuthenticated):
        return "Sign in, or send an API token: `Authorization: Bearer TOKEN`."
    return str(detail) if isinstance(detail, str) else "; ".join(map(str, detail))


def _headers(error: exceptions.APIException) -> dict[str, str]:
    """`auth_header` is set by the REST framework on what becomes a 401."""
    challenge = getattr(error, "auth_header", None)
    wait_s = getattr(error, "wait", None)
    return {
        **({"WWW-Authenticate": challenge} if challenge else {}),
        **({"Retry-After": str(max(1, round(wait_s)))} if wait_s else {}),
    }


def _text(error: Exception) -> str:
    message = getattr(error, "message", None) or (error.args[0] if error.args else "")
    return message if isinstance(message, str) else ""


def _database_away() -> Problem:
    return Problem(
        status=503,
        code="database_away",
        detail="The database does not answer. Try again in a few seconds.",
        headers={"Retry-After": "5"},
    )


def problem_of_unhandled(error: BaseException | None) -> Problem:
    """Return what is said of an error that no endpoint saw: one of the middleware's."""
    return _database_away() if isinstance(error, DATABASE_AWAY) else unexpected()


def unexpected() -> Problem:
    """Return what is said about a fault of ours: nothing but how to find it in the log."""
    return Problem(
        status=500,
        code="internal_error",
        detail="The server failed. Before you repeat a write, check whether it took effect.",
    )


def for_page(request: HttpRequest, status: int, detail: str) -> HttpResponse:
    """Answer an API request that failed before it reached an endpoint."""
    code = FRAMEWORK_CODES.get(status, "internal_error")
    return problems.response(request, Problem(status=status, code=code, detail=detail))
