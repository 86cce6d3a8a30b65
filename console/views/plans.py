"""A plan of applying documents, as pages show it: what becomes of each document, releases, what goes live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.utils.safestring import SafeString

from console.drawing import text_diff
from workflows.definitions import Applied, Change

MAX_COMPARED: Final = 60  # documents whose texts are compared on one page
MAX_CHARS: Final = 400_000  # of texts that are compared on one page
_WORDS: Final = {
    "create": ("New", "plus", "ok"),
    "new_version": ("New version", "pencil", "wait"),
    "unchanged": ("Unchanged", "circle-check", "idle"),
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One document of the plan; no comparison where nothing changes or where there are too many."""

    change: Change
    word: str
    icon: str
    tone: str
    counts: str = ""
    comparison: SafeString | str = ""


@dataclass(frozen=True, kw_only=True)
class ReleaseLine:
    """A release that would be made, and the environments that would get it at once."""

    workflow: str
    number: int
    environments: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All of it, with the counts that head it."""

    lines: tuple[Line, ...]
    releases: tuple[ReleaseLine, ...]
    created: int
    changed: int
    unchanged: int

    @property
    def does_nothing(self) -> bool:
        return not (self.created or self.changed)


def plan(planned: Applied) -> Plan:
    """Draw a plan, what changes first."""
    ordered = sorted(planned.plan, key=lambda change: change.action == "unchanged")
    lines, room = [], MAX_CHARS
    for number, change in enumerate(ordered):
        room -= len(change.before) + len(change.after)
        lines.append(_line(change, compared=number < MAX_COMPARED and room > 0))
    actions = [change.action for change in planned.plan]
    return Plan(
        lines=tuple(lines),
        releases=tuple(
            ReleaseLine(
                workflow=release.workflow,
                number=release.number,
                environments=tuple(
                    environment
                    for workflow, number, environment in planned.deployed
                    if (workflow, number) == (release.workflow, release.number)
                ),
            )
            for release in planned.releases
        ),
        created=actions.count("create"),
        changed=actions.count("new_version"),
        unchanged=actions.count("unchanged"),
    )


def _line(change: Change, *, compared: bool) -> Line:
    word, icon, tone = _WORDS[change.action]
    if change.action == "unchanged" or not compared:
        return Line(change=change, word=word, icon=icon, tone=tone)
    return Line(
        change=change,
        word=word,
        icon=icon,
        tone=tone,
        counts=str(text_diff.counts(change.before, change.after)),
        comparison=text_diff.unified(change.before, change.after),
    )
