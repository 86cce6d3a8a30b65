"""Errors as RFC 9457 `application/problem+json`. Knows HTTP and no domain: `api/errors.py` does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, HttpResponse

MEDIA_TYPE: Final = "application/problem+json"
API_PREFIX: Final = "/api/"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One wrong place of an input. `path` such as `input.items[3].name`; empty: the whole."""

    path: str
    message: str
    file: str = ""
    line: int | None = None

    def as_json(self) -> dict[str, object]:
        place = {"file": self.file, "line": self.line} if self.line is not None else {}
        return {"path": self.path, "message": self.message, **place}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What went wrong. `code` is stable: clients may branch on the `type` made of it."""

    status: int
    code: str
    detail: str
    title: str = ""
    errors: tuple[Fault, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_json(self, request_id: str) -> dict[str, object]:
        return {
            "type": f"urn:interlock:problem:{self.code}",
            "title": self.title or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "errors": [fault.as_json() for fault in self.errors],
            "request_id": request_id,
        }


def body(problem: Problem, request_id: str) -> bytes:
    """Write a problem as ASCII JSON: text from outside may hold anything."""
    return json.dumps(problem.as_json(request_id)).encode("ascii")


def response(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Answer a request with a problem."""
    answer = HttpResponse(
        body(problem, getattr(request, "request_id", "")), status=problem.status, content_type=MEDIA_TYPE
    )
    for name, value in problem.headers.items():
        answer[name] = value
    answer["Cache-Control"] = "no-store"
    return answer


def is_api(path: str) -> bool:
    """Say whether an address belongs to the API, whose errors are problems and not pages."""
    return path.startswith(API_PREFIX)
