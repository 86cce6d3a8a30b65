"""Error pages: what failed, what is safe to do, the request's id. Never a stack trace."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from console import context, problems
from console.api import errors as api_errors


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
    """Answer a form whose token does not fit: mostly one that was open since before signing in again."""
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


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 without touching the database: it may be what is broken."""
    if problems.is_api(request.path):
        return problems.response(request, api_errors.unexpected())
    values: dict[str, object] = {
        "theme": context.theme_of(request),
        "navigation": [],
        "title": "Something broke",
        "what": "The server failed while it made this page.",
        "safe_to_do": "Looking again is safe. Before you repeat an action, check whether it took effect.",
        "icon_name": "triangle-alert",
        "request_id": getattr(request, "request_id", ""),
    }
    if request.headers.get("HX-Request"):
        text = f"{values['what']} {values['safe_to_do']} Request {values['request_id']}."
        return HttpResponse(text, status=500, content_type="text/plain")
    return HttpResponse(render_to_string("errors/bare.html", values), status=500)
