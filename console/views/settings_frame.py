"""What the settings pages share: their tabs, their dialogs, who sits there."""

from __future__ import annotations

from typing import Any, Final, cast

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console import access
from console.models import User

# key, label, route, permission
_TABS: Final = (
    ("account", "Account", "settings", "console.use"),
    ("appearance", "Appearance", "settings-appearance", "console.use"),
    ("members", "Members", "members", "members.manage"),
    ("tokens", "API tokens", "tokens", "tokens.manage"),
    ("webhooks", "Webhooks", "webhooks", "definitions.view"),
)
# Pages that have no tab of their own.
_BELOW: Final = {"account": ("password",), "webhooks": ("webhook", "delivery")}


def person_of(request: HttpRequest) -> User:
    """Return who is signed in; the middleware let nobody else through."""
    return cast(User, request.user)


def show(request: HttpRequest, page: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Render a settings page under its tabs. What is not for this role is not offered."""
    role = access.role_of(request)
    shown = [
        {
            "label": label,
            "href": reverse(route),
            "current": key == page or page in _BELOW.get(key, ()),
        }
        for key, label, route, permission in _TABS
        if access.may(role, permission)
    ]
    return render(request, f"settings/{page}.html", {"settings_tabs": shown, **context}, status=status)


def ask(request: HttpRequest, part: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Ask before something is done: into the page's dialog, or as a page of its own without JavaScript."""
    template = part if request.headers.get("HX-Request") else "settings/ask.html"
    return render(request, template, {"part": part, **context}, status=status)


def answer(request: HttpRequest, address: str) -> HttpResponse:
    """Lead on after something was done, from a dialog as from a page."""
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)
