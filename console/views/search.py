"""The command menu: pages, actions, runs, definitions and corpora by a few letters. And the list of shortcuts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode

from console import access, context, formats, shortcuts
from console.access import requires
from console.drawing import looks
from workflows.queries import jumping

_MOST_CHARS: Final = 100


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of the menu: a link, or a button of a form that stands in the frame."""

    label: str
    icon: str
    href: str = ""
    form: str = ""
    note: str = ""
    keys: tuple[str, ...] = ()
    tone: str = ""


@dataclass(frozen=True)
class Section:
    """Lines of one kind."""

    title: str
    items: tuple[Item, ...]


# Pages beside those of the navigation: label, icon, route, permission.
_PAGES: Final = (
    ("Settings", "settings", "settings", "console.use"),
    ("Appearance", "palette", "settings-appearance", "console.use"),
    ("Members", "users", "members", "members.manage"),
    ("API tokens", "key-round", "tokens", "tokens.manage"),
    ("Webhooks", "webhook", "webhooks", "definitions.view"),
    ("Keyboard shortcuts", "keyboard", "shortcuts", "console.use"),
    ("API reference", "braces", "api-docs", "console.use"),
    ("Style page", "palette", "style", "console.style"),
)
_ACTIONS: Final = (
    ("Apply YAML or JSON files", "upload", "apply", "", "definitions.apply"),
    ("New workflow", "plus", "workflow-new", "", "definitions.apply"),
    ("Pause new work", "circle-pause", "queue-pause", "", "pauses.manage"),
    ("Create API token", "plus", "tokens", "#new-token", "tokens.manage"),
    ("Add member", "plus", "members", "#new-member", "members.manage"),
    ("Change password", "key-round", "own-password", "", "console.use"),
    ("Change time zone", "globe", "settings", "#time-zone", "console.use"),
)


@requires("console.use")
def index(request: HttpRequest) -> HttpResponse:
    """Answer with what matches: for the menu as its list, else as a page."""
    text = " ".join(request.GET.get("q", "")[:_MOST_CHARS].split())
    found = [section for section in _sections(request, text) if section.items]
    template = "search/_results.html" if request.headers.get("HX-Request") else "search/page.html"
    return render(request, template, {"text": text, "sections": found})


@requires("console.use")
def keys(request: HttpRequest) -> HttpResponse:
    """List the shortcuts: in a dialog, or as a page."""
    template = "shortcuts/_list.html" if request.headers.get("HX-Request") else "shortcuts/page.html"
    return render(request, template, {"groups": shortcuts.groups(request)})


def _sections(request: HttpRequest, text: str) -> list[Section]:
    pages, actions = _pages(request), _actions(request)
    if not text:
        return [Section("Go to", pages), Section("Do", actions)]
    role = access.role_of(request)
    named = jumping.names(text) if access.may(role, "definitions.view") else jumping.NOTHING
    starts = _starts(request, text, named)
    runs = _runs(text) if access.may(role, "runs.view") else ()
    near = [
        Section("Go to", _matching(pages, text)),
        Section("Runs", runs),
        Section("Workflows", _links(named.workflows, "workflow", "workflow")),
        Section("Prompts", _links(named.prompts, "prompt", "file-text")),
        Section("Corpora", _links(named.corpora, "corpus", "database")),
        Section("Schedules", _links(named.schedules, "schedule", "calendar-clock")),
        Section("Webhooks", _links(named.webhooks, "webhook", "webhook")),
        Section("Do", (*_matching(actions, text), *starts)),
    ]
    # An id is a run and nothing else: what was pasted comes first.
    return sorted(near, key=lambda section: section.title != "Runs") if text.startswith("r_") else near


def _pages(request: HttpRequest) -> tuple[Item, ...]:
    role = access.role_of(request)
    main = [
        Item(label=jump.label, icon=jump.icon, href=jump.href, keys=("g", jump.key) if jump.key else ())
        for jump in context.jumps(request)
    ]
    others = [
        Item(label=label, icon=icon, href=reverse(route))
        for label, icon, route, permission in _PAGES
        if access.may(role, permission)
    ]
    return (*main, *others)


def _actions(request: HttpRequest) -> tuple[Item, ...]:
    role = access.role_of(request)
    links = [
        Item(label=label, icon=icon, href=reverse(route) + anchor)
        for label, icon, route, anchor, permission in _ACTIONS
        if access.may(role, permission)
    ]
    if access.may(role, "runs.start"):
        links.insert(0, Item(label="Start a run", icon="play", href=reverse("workflows")))
    return (
        *links,
        Item(label="Switch theme", icon="moon", form="switch-theme"),
        Item(label="Sign out", icon="log-out", form="sign-out"),
    )


def _matching(items: tuple[Item, ...], text: str) -> tuple[Item, ...]:
    words = text.casefold().split()
    return tuple(item for item in items if all(word in item.label.casefold() for word in words))


def _links(names: tuple[str, ...], route: str, icon: str) -> tuple[Item, ...]:
    return tuple(Item(label=name, icon=icon, href=reverse(route, args=[name])) for name in names)


def _starts(request: HttpRequest, text: str, named: jumping.Names) -> tuple[Item, ...]:
    """Offer to start what was found; `start support` finds `support` too."""
    if not access.may(access.role_of(request), "runs.start"):
        return ()
    first, _, rest = text.partition(" ")
    names = named.startable
    if first.casefold() in {"start", "run"} and rest:
        names = jumping.names(rest.removeprefix("run ").removeprefix("of ")).startable
    return tuple(
        Item(label=f"Start run of {name}", icon="play", href=reverse("start", args=[name])) for name in names
    )


def _runs(text: str) -> tuple[Item, ...]:
    found = [
        Item(
            label=formats.printable(run.title),
            icon=looks.state_look(run.state).icon,
            tone=looks.state_look(run.state).tone,
            href=reverse("run", args=[run.id]),
            note=f"{looks.state_look(run.state).word} · {run.workflow} · {formats.instant(run.created_at)}",
        )
        for run in jumping.runs(text)
    ]
    asked = urlencode({"q": formats.printable(text), "range": "all"})
    everywhere = Item(
        label=f"Look for “{formats.printable(text)}” in all runs",
        icon="search",
        href=f"{reverse('runs')}?{asked}",
    )
    return (*found, everywhere)
