"""What every page's frame shows: navigation, theme. Reads the request only, never the database."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from console import access, preferences, sidebar


@dataclass(frozen=True)
class Entry:
    """One line of the navigation; `g` and then `key` lead there too."""

    label: str
    icon: str
    route: str
    permission: str
    key: str = ""


# Only what exists.
NAVIGATION: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "Operate",
        (
            Entry("Overview", "layout-dashboard", "overview", "console.use", "o"),
            Entry("Runs", "activity", "runs", "runs.view", "r"),
            Entry("Approvals", "user-check", "approvals", "runs.view", "p"),
            Entry("Recovery", "rotate-cw", "recovery", "runs.view", "e"),
            Entry("Queue", "layers", "queue", "runs.view", "q"),
            Entry("Quarantines", "octagon-alert", "quarantines", "runs.view", "x"),
            Entry("Lineage", "route", "lineage", "runs.view", "l"),
        ),
    ),
    (
        "Build",
        (
            Entry("Workflows", "workflow", "workflows", "definitions.view", "w"),
            Entry("Schedules", "calendar-clock", "schedules", "definitions.view", "s"),
            Entry("Prompts", "file-text", "prompts", "definitions.view", "t"),
            Entry("Corpora", "database", "corpora", "corpora.view", "c"),
            Entry("Memory", "brain", "memory", "memory.view", "m"),
            Entry("Apply files", "upload", "apply", "definitions.view", "y"),
        ),
    ),
    ("Ship", (Entry("Releases", "split", "releases", "definitions.view", "v"),)),
    ("Observe", (Entry("Audit log", "scroll-text", "audit", "audit.view", "u"),)),
)


def navigation(request: HttpRequest) -> list[tuple[str, list[dict[str, object]]]]:
    """List the groups and entries that this person may open, the current one marked."""
    role = access.role_of(request)
    counts = sidebar.known(role)
    groups = []
    for group, entries in NAVIGATION:
        shown: list[dict[str, object]] = [
            {
                "label": entry.label,
                "icon": entry.icon,
                "key": entry.key,
                "href": (href := reverse(entry.route)),
                "current": request.path.startswith(href),
                "count": counts.get(entry.route),
            }
            for entry in entries
            if access.may(role, entry.permission)
        ]
        if shown:
            groups.append((group, shown))
    return groups


@dataclass(frozen=True)
class Jump:
    """A page that the command menu offers, and `g` with its key where it has one."""

    label: str
    icon: str
    href: str
    key: str


def jumps(request: HttpRequest) -> tuple[Jump, ...]:
    """List the main pages for this person, the navigation's order, and what needs somebody first."""
    entries = [
        Jump(str(entry["label"]), str(entry["icon"]), str(entry["href"]), str(entry["key"]))
        for _, shown in navigation(request)
        for entry in shown
    ]
    if not access.may(access.role_of(request), "runs.view"):
        return tuple(entries)
    attention = Jump("Runs that need attention", "octagon-alert", reverse("runs") + "?state=attention", "a")
    return (attention, *entries)


def look(request: HttpRequest) -> dict[str, str]:
    """Return what this browser chose of the console's looks."""
    chosen = {each.name: preferences.read(request, each) for each in preferences.ALL}
    return {**chosen, "installation": settings.LABEL}


def shell(request: HttpRequest) -> dict[str, object]:
    """Give every template the frame around the page."""
    signed_in = getattr(request, "user", None) is not None and request.user.is_authenticated
    return {
        **look(request),
        "navigation": navigation(request) if signed_in else [],
        "jumps": json.dumps({j.key: j.href for j in jumps(request) if j.key}) if signed_in else "",
        "request_id": getattr(request, "request_id", ""),
    }
