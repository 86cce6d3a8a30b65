"""The editor of a workflow, of a new one too: check as it is typed, look at the plan, save as a new version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console import formats
from console.access import requires
from console.actors import actor_of
from console.drawing import text_diff
from console.forms import workflow_form
from console.forms.workflow_form import Draft
from console.views import plans, workflow_preview
from console.views.workflows import find_version
from workflows import editing, planning, saved
from workflows.definitions import Applied
from workflows.editing import Checked
from workflows.errors import Conflict
from workflows.models import Definition, DefinitionVersion
from workflows.queries import definitions
from workflows.spec import writing
from workflows.spec.documents import SourceText
from workflows.spec.places import SpecError

_KIND: Final = "Workflow"
_BLANK: Final = """\
kind: Workflow
name: my-workflow
input:
  type: object
  required: [question]
  properties:
    question: {type: string, title: Question}
steps:
  - id: first
    set:
      asked: "{{ input.question }}"
output:
  asked: "{{ steps.first.output.asked }}"
"""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What is edited: a workflow that there is, or (`definition` None) a new one."""

    definition: Definition | None
    draft: Draft
    shown: DefinitionVersion | None = None

    @property
    def name(self) -> str:
        return self.definition.name if self.definition else ""

    @property
    def address(self) -> str:
        return reverse("workflow-edit", args=[self.name]) if self.name else reverse("workflow-new")

    @property
    def check_address(self) -> str:
        return reverse("workflow-check", args=[self.name]) if self.name else reverse("workflow-new-check")

    @property
    def next_version(self) -> int:
        return (self.definition.latest_version if self.definition else 0) + 1


@requires("definitions.apply")
def edit(request: HttpRequest, name: str) -> HttpResponse:
    """Show the editor, the plan of what was typed, or save it."""
    return _answer(request, _existing(request, name))


@requires("definitions.apply")
def new(request: HttpRequest) -> HttpResponse:
    """The same for a workflow that is not there yet."""
    return _answer(request, _blank(request))


@requires("definitions.apply")
def check(request: HttpRequest, name: str = "") -> HttpResponse:
    """Say what is wrong with the text in the editor, and draw its graph."""
    page = _existing(request, name) if name else _blank(request)
    if request.method != "POST":
        return HttpResponseRedirect(page.address)
    checked = _checked(page)
    context = {**_problems(page, checked), **workflow_preview.context(checked, _before(page)), "beside": True}
    return render(request, "workflows/_check.html", context)


def _existing(request: HttpRequest, name: str) -> Page:
    definition = definitions.find(_KIND, name)
    if definition is None or definition.archived_at:
        raise Http404(f"There is no workflow {formats.printable(name)[:80]}.")
    asked = request.GET.get("version") or str(definition.latest_version)
    shown = find_version(definition, asked)
    draft = workflow_form.read(request, text=writing.dump([shown.body]), base=definition.latest_version)
    return Page(definition=definition, shown=shown, draft=draft)


def _blank(request: HttpRequest) -> Page:
    return Page(definition=None, draft=workflow_form.read(request, text=_BLANK, base=0))


def _before(page: Page) -> Mapping[str, Any] | None:
    """The version that the text is compared with; a new workflow has none."""
    return page.shown.body if page.shown else None


def _answer(request: HttpRequest, page: Page) -> HttpResponse:
    if page.draft.action in {"", "edit"}:
        return _show(request, page)
    checked = _checked(page)
    if checked.errors:
        return _show(request, page, checked=checked, status=422)
    name = checked.document.name if checked.document else ""
    if planning.newest(_KIND, name) != page.draft.base:
        return _taken(request, page, name) if page.definition is None else _conflict(request, page)
    source = SourceText(name, page.draft.text)
    if page.draft.action == "review":
        return _review(request, page, source)
    return _save(request, page, source)


def _checked(page: Page) -> Checked:
    """The text as `apply` would read it."""
    catalog = saved.load().catalog()
    if page.definition:
        return editing.read(_KIND, page.name, page.draft.text, catalog=catalog)
    return editing.read_new(_KIND, page.draft.text, catalog=catalog)


def _review(request: HttpRequest, page: Page, source: SourceText, *, changed: bool = False) -> HttpResponse:
    """Show what saving would do."""
    planned = planning.plan([source], actor=actor_of(request))
    if planned.errors:
        return _show(request, page, errors=planned.errors, status=422)
    if planned.plan[0].action == "unchanged":
        return _show(request, page, note="Nothing to save: the newest version says the same.")
    context = {
        "page": page,
        "draft": page.draft,
        "plan": plans.plan(planned),
        "seen": planning.mark(planned),
        "changed": changed,
        "address": page.address,
    }
    return render(request, "workflows/review.html", context, status=409 if changed else 200)


def _save(request: HttpRequest, page: Page, source: SourceText) -> HttpResponse:
    note = formats.printable(page.draft.note)
    try:
        done = planning.carry_out([source], actor=actor_of(request), seen=page.draft.seen, reason=note)
    except Conflict:
        # Somebody saved this workflow, or something that it names, between the look and the save.
        if planning.newest(_KIND, source.name) != page.draft.base:
            return _taken(request, page, source.name) if page.definition is None else _conflict(request, page)
        return _review(request, page, source, changed=True)
    if done.errors:
        return _show(request, page, errors=done.errors, status=422)
    messages.success(request, _told(done), extra_tags=f"saved {page.address}")
    return HttpResponseRedirect(reverse("workflow", args=[source.name]))


def _told(done: Applied) -> str:
    parts = [f"Saved v{done.plan[0].version}."]
    waiting = [
        release
        for release in done.releases
        if not any(release.number == number for _, number, _ in done.deployed)
    ]
    parts += [f"Release {number} is live in {environment}." for _, number, environment in done.deployed]
    parts += [f"Made release {release.number}: deploy it to use it." for release in waiting]
    return " ".join(parts)


def _show(
    request: HttpRequest,
    page: Page,
    *,
    checked: Checked | None = None,
    errors: tuple[SpecError, ...] = (),
    note: str = "",
    status: int = 200,
) -> HttpResponse:
    """Draw the editor with the text as it was sent."""
    found = checked or _checked(page)
    found = replace(found, errors=errors) if errors else found
    context = {
        "page": page,
        "draft": page.draft,
        "refused": status == 422,
        "told": note,
        **_problems(page, found),
        **workflow_preview.context(found, _before(page)),
    }
    return render(request, "workflows/edit.html", context, status=status)


def _problems(page: Page, checked: Checked) -> dict[str, Any]:
    own = page.name or (checked.document.name if checked.document else "")
    return {
        "problems": [
            {
                "line": error.line or 1,
                "file": "" if error.file in {own, editing.NEW} else error.file,
                "path": error.path,
                "message": error.message,
            }
            for error in checked.errors
        ],
        "steps": len(workflow_preview.steps(checked)),
    }


def _taken(request: HttpRequest, page: Page, name: str) -> HttpResponse:
    """Answer that a new workflow's name is another's already."""
    error = SpecError(
        name, 1, "name", f"there is a workflow {name} already: choose another name, or edit that one"
    )
    context_page = replace(page, draft=replace(page.draft, base=0))
    return _show(request, context_page, errors=(error,), status=409)


def _conflict(request: HttpRequest, page: Page) -> HttpResponse:
    """Answer 409 with both texts: what somebody else saved meanwhile, and what was typed here."""
    assert page.definition is not None
    page.definition.refresh_from_db()
    newest = find_version(page.definition, str(page.definition.latest_version))
    checked = _checked(page)
    mine = writing.dump([checked.document.body]) if checked.document else page.draft.text
    context = {
        "page": page,
        "draft": page.draft,
        "newest": newest,
        "comparison": text_diff.split(writing.dump([newest.body]), mine),
    }
    return render(request, "workflows/conflict.html", context, status=409)
