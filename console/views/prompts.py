"""Prompts: the list, and one in its editor, with its versions and what belongs to them beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from console import access, formats
from console.access import requires
from console.actors import actor_of
from console.drawing import text_diff
from console.forms import prompt_form
from console.forms.prompt_form import TABS, Draft
from console.views import prompt_tabs
from providers import usage
from workflows import editing
from workflows.editing import Checked
from workflows.errors import Conflict
from workflows.models import Definition, DefinitionVersion
from workflows.queries import definitions, prompts
from workflows.spec import prompt_text, writing


@dataclass(frozen=True, kw_only=True)
class Page:
    """A prompt as its page shows it: which version is open, and the text in the editor."""

    definition: Definition
    shown: DefinitionVersion
    draft: Draft

    @property
    def name(self) -> str:
        return self.definition.name


@requires("definitions.view")
def index(request: HttpRequest) -> HttpResponse:
    """List the prompts, a page at a time."""
    contains, after = request.GET.get("q", "").strip()[:63], request.GET.get("after", "")[:63]
    found = prompts.page(contains=contains, after=after, now=timezone.now())
    context = {
        "rows": found.rows,
        "contains": contains,
        "first": "?" + urlencode({"q": contains}) if after else "",
        "older": "?" + urlencode({"q": contains, "after": found.rows[-1].name}) if found.more else "",
    }
    return render(request, "prompts/list.html", context)


@requires("definitions.view")
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show a prompt at one of its versions, with one of its tabs."""
    return show(request, open_page(request, name), tab=request.GET.get("tab", ""))


@requires("definitions.view")
def side(request: HttpRequest, name: str, tab: str) -> HttpResponse:
    """Show one tab for the text in the editor, saved or not."""
    if request.method != "POST" or tab not in TABS:
        return _to_page(name, tab=tab)
    return show(request, open_page(request, name), tab=tab)


@requires("definitions.view")
def check(request: HttpRequest, name: str) -> HttpResponse:
    """Say what is wrong with the text in the editor."""
    if request.method != "POST":
        return _to_page(name)
    page = open_page(request, name)
    return render(request, "prompts/_problems.html", _checked(editing.read("Prompt", name, page.draft.text)))


@requires("definitions.apply")
def save(request: HttpRequest, name: str) -> HttpResponse:
    """Save the text as a new version of the one that it began on."""
    if request.method != "POST":
        return _to_page(name)
    page = open_page(request, name)
    draft = page.draft
    try:
        saving = editing.save(
            "Prompt",
            name,
            draft.text,
            base=draft.base,
            actor=actor_of(request),
            note=formats.printable(draft.note),
        )
    except Conflict:
        return _conflict(request, page)
    if saving.errors:
        return show(request, page, tab="preview", errors=[str(error) for error in saving.errors], status=422)
    built = ", ".join(f"{each.workflow} release {each.number}" for each in saving.applied.releases)
    made = f"Saved v{saving.version}." + (f" Made {built}: deploy it to use it." if built else "")
    messages.success(
        request,
        made if saving.created else "Nothing changed: the newest version is the same.",
        extra_tags="saved",
    )
    return _to_page(name)


def open_page(request: HttpRequest, name: str) -> Page:
    """Find the prompt and read what was sent for it. Raises: Http404."""
    definition = definitions.find("Prompt", name)
    if definition is None:
        raise Http404(f"There is no prompt {formats.printable(name)[:80]}.")
    asked = request.POST.get("version") or request.GET.get("version") or str(definition.latest_version)
    shown = find_version(definition, asked)
    draft = prompt_form.read(request, text=writing.dump([shown.body]), base=definition.latest_version)
    return Page(definition=definition, shown=shown, draft=draft)


def find_version(definition: Definition, number: str) -> DefinitionVersion:
    """Find a version by the number in an address. Raises: Http404."""
    fits = number.isascii() and number.isdigit() and len(number) < 9
    found = definition.versions.filter(version=int(number)).first() if fits else None
    if found is None:
        raise Http404(f"Prompt {definition.name} has no such version.")
    return found


def show(
    request: HttpRequest,
    page: Page,
    *,
    tab: str = "",
    errors: list[str] | None = None,
    status: int = 200,
    tried: dict[str, Any] | None = None,
) -> HttpResponse:
    """Draw the page, or only the tab beside the editor where htmx asks for it."""
    tab = tab if tab in TABS else "preview"
    held = prompts.live(page.name)
    versions = prompts.versions(page.definition, held)
    checked = editing.read("Prompt", page.name, page.draft.text)
    asked = prompt_tabs.Asked(
        page.name, page.draft, checked, tuple(version.number for version in versions), held
    )
    context = {
        "page": page,
        "draft": page.draft,
        "tab": tab,
        "tabs": TABS.items(),
        **prompt_tabs.context(tab, asked),
        **(tried or {}),
    }
    if request.headers.get("HX-Request"):
        return render(request, "prompts/_side.html", context, status=status)
    context |= {
        "versions": versions,
        "next_version": page.definition.latest_version + 1,
        "may_edit": access.may(access.role_of(request), "definitions.apply"),
        "errors": [formats.printable(error) for error in errors or []],
        **_checked(checked),
    }
    return render(request, "prompts/page.html", context, status=status)


def _checked(checked: Checked) -> dict[str, Any]:
    """What the line under the editor says: problems, unused variables, size."""
    contents = [
        str(each.get("content", "")) for each in checked.body.get("messages", []) if isinstance(each, dict)
    ]
    return {
        "problems": [
            {
                "line": error.line or 1,
                "path": error.path,
                "message": error.message,
                "word": _word(error.message),
            }
            for error in checked.errors
        ],
        "unused": prompt_text.unused(checked.body) if not checked.errors else (),
        "tokens": usage.estimated(sent="\n".join(contents), received="").input
        if not checked.errors
        else None,
    }


def _word(message: str) -> str:
    """The name that a message is about, for the editor to underline."""
    found = re.match(r"names '(\w+)'", message)
    return found[1] if found else ""


def _conflict(request: HttpRequest, page: Page) -> HttpResponse:
    """Answer 409 with both texts: what somebody else saved meanwhile, and what was typed here."""
    newest = find_version(page.definition, str(page.definition.latest_version))
    theirs = writing.dump([newest.body])
    mine = prompt_tabs.as_saved(page.draft.text, editing.read("Prompt", page.name, page.draft.text))
    context = {
        "page": page,
        "draft": page.draft,
        "newest": newest,
        "comparison": text_diff.split(theirs, mine),
        "next_version": newest.version + 1,
    }
    return render(request, "prompts/conflict.html", context, status=409)


def _to_page(name: str, *, tab: str = "") -> HttpResponse:
    query = f"?{urlencode({'tab': tab})}" if tab in TABS else ""
    return HttpResponseRedirect(reverse("prompt", args=[name]) + query)
