"""What a run that is about to be started will do: its graph, what it is pinned to, and how the last ones went."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.db import DatabaseError
from django.utils import timezone

from console import formats
from console.views import workflow_graph
from workflows.models import Release
from workflows.queries import definitions, overview, workflow_page
from workflows.queries.workflow_page import Figures

_LATELY: Final = timedelta(days=7)
_FIGURES_S: Final = 1.0  # a form is not kept waiting for figures


def of(release: Release) -> dict[str, Any]:
    """Collect what the side of the form shows of a release."""
    name, version = release.manifest["workflow"]
    body = definitions.body_of("Workflow", name, version) or {}
    lately = _lately(name)
    return {
        "version": version,
        "holds": workflow_page.holds(release.manifest),
        "drawn": workflow_graph.draw(
            body,
            dress={},  # no links: a click beside the form must not throw away what was typed
            opened=(),
            label=f"Steps of {name}, version {version}",
        ),
        "lately": lately,
        "success": formats.share(lately.success if lately else None),
    }


def _lately(workflow: str) -> Figures | None:
    """How the runs of the last days went; None where there were none, or the database is too slow for it."""
    now = timezone.now()
    try:
        with overview.bounded(seconds=_FIGURES_S):
            found = workflow_page.figures(workflow, since=now - _LATELY, until=now)
    except DatabaseError:
        return None
    return found if found.runs else None
