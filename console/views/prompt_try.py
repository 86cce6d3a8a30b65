"""Trying a prompt: one real call of a model with the text in the editor. No run is made."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from console import formats
from console.access import requires
from console.actors import actor_of
from console.drawing import json_text
from console.views import prompt_tabs, prompts
from workflows import editing, trying
from workflows.errors import WorkflowError
from workflows.queries import prompts as found
from workflows.trying import Tried

ERRORS = {
    "timeout": "Try again, or give the route a longer `timeout`.",
    "deadline": "Try again, or pick a faster model.",
    "rate_limited": "Wait a moment, then try again.",
    "overloaded": "Wait a moment, then try again.",
    "missing_credential": "Set the provider's credential, then try again.",
    "auth": "Check the provider's credential.",
    "connect": "Check that the provider's address is right and answers.",
    "context_overflow": "Shorten the prompt, or pick a model with a larger context.",
}


@requires("prompts.try")
def attempt(request: HttpRequest, name: str) -> HttpResponse:
    """Send the filled messages to the picked model, and show what came back."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("prompt", args=[name]) + "?tab=test")
    page = prompts.open_page(request, name)
    return prompts.show(request, page, tab="test", tried=_tried(request, page))


def _tried(request: HttpRequest, page: prompts.Page) -> dict[str, Any]:
    checked = editing.read("Prompt", page.name, page.draft.text)
    newest = page.definition.latest_version
    numbers = tuple(range(newest, max(newest - found.SHOWN_VERSIONS, 0), -1))
    asked = prompt_tabs.Asked(page.name, page.draft, checked, numbers)
    given = prompt_tabs.inputs(asked)
    if checked.errors or given.problem:
        return {"try_problem": given.problem or "Mend the document first: nothing was sent."}
    messages = [each for each in prompt_tabs.filled(asked, given) if each.state != "waits"]
    failed = next((each for each in messages if each.state == "failed"), None)
    if failed is not None:
        return {"try_problem": f"Nothing was sent: {formats.printable(failed.problem)}."}
    try:
        tried = trying.attempt(
            page.name,
            checked.body,
            [(each.role, each.text) for each in messages],
            choice=page.draft.choice,
            actor=actor_of(request),
        )
    except WorkflowError as error:
        return {"try_problem": error.message}
    return {"tried": tried, **_shown(tried)}


def _shown(tried: Tried) -> dict[str, Any]:
    """The answer as people read it: JSON coloured, an error with what to do."""
    if tried.error is not None:
        hint = ERRORS.get(
            tried.error.error_class, "Nothing else was changed; trying again is safe but may cost again."
        )
        return {"try_error": formats.printable(tried.error.message), "try_hint": hint}
    assert tried.response is not None
    value = tried.checked.value if tried.checked and tried.checked.is_valid else None
    text = tried.response.text
    return {
        "answer_json": json_text.highlight(json_text.serialise(value)) if value is not None else "",
        "answer_text": formats.printable(text),
        "verdict": [formats.printable(str(each)) for each in tried.checked.problems] if tried.checked else [],
    }
