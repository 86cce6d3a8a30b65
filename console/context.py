"""What every page's frame shows: navigation, theme. Reads the request only, never the database."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

from console import access

THEMES = ("system", "light", "dark")
THEME_COOKIE = "theme"


@dataclass(frozen=True)
class Entry:
    """One line of the navigation."""

    label: str
    icon: str
    route: str
    permission: str


# Only what exists.
NAVIGATION: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "Operate",
        (
            Entry("Overview", "layout-dashboard", "overview", "console.use"),
            Entry("Runs", "activity", "runs", "runs.view"),
        ),
    ),
    (
        "Build",
        (
            Entry("Workflows", "workflow", "workflows", "definitions.view"),
            Entry("Prompts", "file-text", "prompts", "definitions.view"),
            Entry("Corpora", "database", "corpora", "corpora.view"),
        ),
    ),
)


def theme_of(request: HttpRequest) -> str:
    """Return the theme that this browser chose, or `system`."""
    theme = request.COOKIES.get(THEME_COOKIE, "system")
    return theme if theme in THEMES else "system"


def navigation(request: HttpRequest) -> list[tuple[str, list[dict[str, object]]]]:
    """List the groups and entries that this person may open, the current one marked."""
    role = access.role_of(request)
    groups = []
    for group, entries in NAVIGATION:
        shown = [
            {
                "label": entry.label,
                "icon": entry.icon,
                "href": (href := reverse(entry.route)),
                "current": request.path.startswith(href),
            }
            for entry in entries
            if access.may(role, entry.permission)
        ]
        if shown:
            groups.append((group, shown))
    return groups


def shell(request: HttpRequest) -> dict[str, object]:
    """Give every template the frame around the page."""
    signed_in = getattr(request, "user", None) is not None and request.user.is_authenticated
    return {
        "theme": theme_of(request),
        "navigation": navigation(request) if signed_in else [],
        "request_id": getattr(request, "request_id", ""),
    }
