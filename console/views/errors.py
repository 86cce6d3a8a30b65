"""Error pages: what failed, what is safe to do, the request's id. Never a stack trace."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from psycopg.errors import QueryCanceled

from console import context, problems
from console.api import errors as api_errors
from console.views import interrupted


def _answer(
    request: HttpRequest, status: int, *, title: str, what: str, safe_to_do: str, icon: str = "triangle-alert"
) -> HttpResponse:
    request_id = getattr(request, "request_id", "")
    if problems.is_api(request.path):
        return api_errors.for_page(request, status, what)
    if request.headers.get("HX-Request"):
        # The page keeps what it shows; this line is all that is shown of the error.
        text = f"{what} {safe_to_do} Request {request_id}."
        return HttpResponse(text, status=status, content_type="text/plain")
    signed_in = getattr(request, "user", None) is not None and request.user.is_authenticated
    template = "errors/page.html" if signed_in else "errors/bare.html"
    values = {"title": title, "what": what, "safe_to_do": safe_to_do, "icon_name": icon}
    return render(request, template, values, status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400."""
    return _answer(
        request,
        400,
        title="Bad request",
        what="The server could not read this request.",
        safe_to_do="Nothing was changed. Go back, reload the page and try again.",
    )


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403 with what is missing and who may."""
    what = str(exception or "") or "You may not do this."
    return _answer(
        request, 403, title="Not allowed", what=what, safe_to_do="Nothing was changed.", icon="ban"
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose token does not fit: mostly one that was open since before signing in again.

    It is shown again with what was typed, where a page of ours sent it; another site's never is.
    """
    signed_in = request.user.is_authenticated and not request.headers.get("HX-Request")
    if signed_in and interrupted.is_ours(request) and not problems.is_api(request.path):
        carried = interrupted.read(request)
        if carried.fields and interrupted.fits(carried):
            why = "This page was opened before you last signed in, so nothing was done."
            return interrupted.show_again(request, carried, why=why, status=403)
    return _answer(
        request,
        403,
        title="Form out of date",
        what="This form was opened before you last signed in, so it was not accepted.",
        safe_to_do="Nothing was changed. Go back, reload the page and send it again.",
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404; our own views say which object is missing."""
    own_words = exception.args[0] if exception and exception.args else ""
    what = own_words if isinstance(own_words, str) and own_words else "There is no page at this address."
    return _answer(
        request,
        404,
        title="Not found",
        what=what,
        safe_to_do="It may have been deleted, or the link may be cut short.",
        icon="search",
    )


@dataclass(frozen=True)
class _Failure:
    """What a page says when it could not be made."""

    status: int
    title: str
    what: str
    safe_to_do: str
    icon: str = "triangle-alert"


_BROKEN = _Failure(
    500,
    "Something broke",
    "The server failed while it made this page.",
    "Looking again is safe. Before you repeat an action, check whether it took effect.",
)
_SLOW = _Failure(
    503,
    "The database is too slow",
    "The database took too long over this page and was told to stop.",
    "Nothing was changed by it. Try again in a moment, or ask for less: a shorter time range, fewer filters.",
    "hourglass",
)
_AWAY = _Failure(
    503,
    "The database is away",
    "The database does not answer.",
    "Runs are safe: workers hold what they have finished and write it when it is back. Try again in a few seconds.",
    "database",
)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500, or 503 where it is the database's fault; touches the database in no case."""
    error = sys.exc_info()[1]
    if problems.is_api(request.path):
        return problems.response(request, api_errors.problem_of_unhandled(error))
    failure = _failure(error)
    request_id = getattr(request, "request_id", "")
    headers = {"Retry-After": "5"} if failure.status == 503 else {}
    if request.headers.get("HX-Request"):
        text = f"{failure.what} {failure.safe_to_do} Request {request_id}."
        return HttpResponse(text, status=failure.status, content_type="text/plain", headers=headers)
    values: dict[str, object] = {
        **context.look(request),
        "navigation": [],
        "title": failure.title,
        "what": failure.what,
        "safe_to_do": failure.safe_to_do,
        "icon_name": failure.icon,
        "again": request.get_full_path() if request.method == "GET" else "",
        "request_id": request_id,
    }
    body = render_to_string("errors/bare.html", values)
    return HttpResponse(body, status=failure.status, headers=headers)


def _failure(error: BaseException | None) -> _Failure:
    if isinstance(error, OperationalError) and isinstance(error.__cause__, QueryCanceled):
        return _SLOW
    return _AWAY if isinstance(error, api_errors.DATABASE_AWAY) else _BROKEN
