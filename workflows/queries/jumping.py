"""What the command menu finds: runs, definitions and corpora by a few letters of their name.

Every look-up is bounded: by an index, or by the newest runs only. Looking through all runs is the list's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q

from retrieval.models import Corpus
from workflows import payloads
from workflows.models import Definition, Deployment, Run
from workflows.queries.run_list import titles

LIMIT: Final = 6
_TITLES_OF_NEWEST: Final = 2000  # runs whose title is looked at; the rest is found by the list's own search
_ENVIRONMENT: Final = "production"
_TEXT_CHARS: Final = 100


@dataclass(frozen=True, kw_only=True)
class FoundRun:
    """A run as the menu shows it."""

    id: str
    title: str
    state: str
    workflow: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names that contain the text: of workflows (and which of them can be started), prompts and corpora."""

    workflows: tuple[str, ...]
    startable: tuple[str, ...]
    prompts: tuple[str, ...]
    corpora: tuple[str, ...]
    schedules: tuple[str, ...] = ()
    webhooks: tuple[str, ...] = ()


NOTHING: Final = Names(workflows=(), startable=(), prompts=(), corpora=())


def runs(text: str) -> tuple[FoundRun, ...]:
    """Find runs by the beginning of their id, by their session, or by a title among the newest."""
    text = payloads.clean_text(text, limit=_TEXT_CHARS).strip()
    if not text:
        return ()
    newest = Run.objects.order_by("-created_at", "-id")
    exact = Q(id__startswith=text.lower()) if text.lower().startswith("r_") else Q(session=text)
    found = list(newest.filter(exact)[:LIMIT])
    if len(found) < LIMIT:
        recent = newest.values("id")[:_TITLES_OF_NEWEST]
        seen = [run.id for run in found]
        titled = newest.filter(id__in=recent, title__icontains=text).exclude(id__in=seen)
        found += titled[: LIMIT - len(found)]
    named = titles(found)
    return tuple(
        FoundRun(
            id=run.id, title=named[run.id], state=run.state, workflow=run.workflow, created_at=run.created_at
        )
        for run in found
    )


def names(text: str) -> Names:
    """Find definitions and corpora by a part of their name."""
    text = payloads.clean_text(text, limit=_TEXT_CHARS).strip()
    found = Definition.objects.filter(
        kind__in=["Workflow", "Prompt", "Schedule", "Webhook"], archived_at=None, name__icontains=text
    ).order_by("name")
    pairs = list(found.values_list("kind", "name")[: 40 * LIMIT])
    workflows = tuple(name for kind, name in pairs if kind == "Workflow")[:LIMIT]
    deployed = Deployment.objects.filter(environment_id=_ENVIRONMENT, workflow__in=workflows)
    can_start = set(deployed.values_list("workflow", flat=True)) if workflows else set()
    corpora = Corpus.objects.filter(name__icontains=text).order_by("name").values_list("name", flat=True)
    return Names(
        workflows=workflows,
        startable=tuple(name for name in workflows if name in can_start),
        prompts=tuple(name for kind, name in pairs if kind == "Prompt")[:LIMIT],
        corpora=tuple(corpora[:LIMIT]),
        schedules=tuple(name for kind, name in pairs if kind == "Schedule")[:LIMIT],
        webhooks=tuple(name for kind, name in pairs if kind == "Webhook")[:LIMIT],
    )
