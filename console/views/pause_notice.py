"""What pages say where nothing new starts: which pauses concern them. It is asked for anew by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from console.access import requires
from workflows import pauses
from workflows.models import Pause

_SHOWN: Final = 3


@dataclass(frozen=True)
class Notice:
    """Pauses with what each holds up, the widest first; `more` are on the queue's page only."""

    shown: tuple[tuple[str, Pause], ...]
    more: int
    address: str


def notice(*, workflow: str | None = None, environment: str | None = None) -> Notice:
    """Return the pauses that concern a workflow, an environment, or any of them."""
    found = pauses.concerning(workflow=workflow, environment=environment)
    asked = {"workflow": workflow, "environment": environment}
    query = urlencode({name: value for name, value in asked.items() if value})
    return Notice(
        shown=tuple((pauses.scope_text(each.environment_id, each.workflow), each) for each in found[:_SHOWN]),
        more=len(found[_SHOWN:]),
        address=reverse("pause-notice") + (f"?{query}" if query else ""),
    )


@requires("runs.view")
def part(request: HttpRequest) -> HttpResponse:
    """Answer with the notice alone."""
    asked = {
        name: request.GET.get(name, "").replace("\0", "") or None for name in ("workflow", "environment")
    }
    return render(request, "queue/_notice.html", {"notice": notice(**asked)})
