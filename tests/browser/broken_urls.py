"""The routes of the console, and some that fail as pages can: for what the console says of it."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import path

from console import access, urls
from console.access import requires
from console.models import Role

handler400, handler403 = urls.handler400, urls.handler403
handler404, handler500 = urls.handler404, urls.handler500


@requires("runs.view")
def broken(request: HttpRequest, status: int) -> HttpResponse:
    """Fail in the way that leads to this status."""
    if status == 403:
        raise PermissionDenied(access.refusal(Role.VIEWER, "members.manage"))
    if status == 503:
        raise OperationalError("connection refused")
    raise RuntimeError("A page that was made to fail.")


urlpatterns = [*urls.urlpatterns, path("broken/<int:status>/", broken)]
