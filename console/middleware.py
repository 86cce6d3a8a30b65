"""What every request passes: its id, who may, and what browsers may keep. No page's own business."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

import structlog
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from whitenoise.middleware import WhiteNoiseMiddleware

from console import access, time_zones
from console.views import interrupted

GetResponse = Callable[[HttpRequest], HttpResponseBase]
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class RequestIdMiddleware:
    """Gives each request an id, or keeps the proxy's; it is on every error page and log line."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        request.request_id = request_id  # type: ignore[attr-defined]
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
        response["X-Request-Id"] = request_id
        return response


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]  # no types in the wheel
    """Serves our own files whole: streamed ones would hold up ASGI's event loop, and Django warns of it."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        """Answer with one file, or with its 304."""
        found = static_file.get_response(request.method, request.META)
        content = b""
        if found.file is not None:
            with found.file as opened:
                content = opened.read()
        response = HttpResponse(content, status=int(found.status))
        for key, value in found.headers:
            response[key] = value
        return response


class AccessMiddleware:
    """Lets a request through to a view that is public, or whose permission the person has."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Answer for the view where it may not run; an API view checks itself, tokens included."""
        if access.is_public(view) or access.is_api(view):
            return None
        permission = getattr(view, "permission", None)
        if permission is None:
            raise ImproperlyConfigured(f"{view!r} names no permission: add @requires(…) or @public.")
        if not request.user.is_authenticated:
            return _sign_in_first(request)
        if request.user.password_temporary and not getattr(view, "before_own_password", False):
            return _choose_password_first(request)
        access.check(request, permission)
        return None


def _sign_in_first(request: HttpRequest) -> HttpResponseBase:
    if request.headers.get("HX-Request"):
        # No redirect: what somebody has typed on the page must not be lost.
        return HttpResponse(
            "You are signed out. Sign in again in another tab, then repeat this.",
            status=401,
            content_type="text/plain",
        )
    if request.method == "POST":
        return interrupted.ask_to_sign_in(request)
    return redirect_to_login(request.get_full_path())


def _choose_password_first(request: HttpRequest) -> HttpResponse:
    address = reverse("own-password")
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


class TimeZoneMiddleware:
    """Shows times in the zone of whoever is signed in. The API answers in UTC always."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            return self.get_response(request)
        finally:
            timezone.deactivate()

    def process_view(self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any) -> None:
        """Set the zone where `AccessMiddleware` has looked up the person already: no query of our own."""
        if access.is_public(view) or access.is_api(view):
            return
        timezone.activate(time_zones.zone(getattr(request.user, "time_zone", "")))


class FragmentMiddleware:
    """Keeps fragments out of the browser's cache: one address answers with a page or with its part."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        patch_vary_headers(response, ["HX-Request"])
        if request.headers.get("HX-Request"):
            # `Vary` alone is not enough: Chromium shows a cached fragment on Back.
            response["Cache-Control"] = "no-store"
        return response
