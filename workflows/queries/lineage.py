"""Who used a piece of state: how many, the runs page by page, and what those runs left behind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q

from workflows import database, pieces
from workflows.models import DefinitionVersion, Quarantine, Run
from workflows.models.quarantines import KINDS as QUARANTINED
from workflows.pieces import Piece
from workflows.queries.lineage_sources import STEPS, Called, Given, Recorded, Released, Source, Totals, Use

__all__ = [
    "STEPS",
    "Left",
    "Totals",
    "Use",
    "User",
    "Users",
    "page",
    "quarantinable",
    "quarantines",
    "totals",
]

PAGE: Final = 50
LEFT: Final = 5  # of each kind that are told of a run


@dataclass(frozen=True)
class Left:
    """What a run left behind, at most `LEFT` of each: memory versions and tools by name, and child runs.

    Tools that only read leave nothing. `more`: there is more of some kind.
    """

    memory: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    more: bool = False


@dataclass(frozen=True)
class User:
    """A run that used it."""

    run: Run
    use: Use
    left: Left

    @property
    def at(self) -> datetime | None:
        """When it used it first."""
        return self.use.at


@dataclass(frozen=True)
class Users:
    """A page of runs, newest first. `next`: the run after which the next page begins; blank at the end."""

    rows: tuple[User, ...]
    next: str


def totals(piece: Piece) -> Totals:
    """Count the runs and steps that used a piece."""
    return _source(piece).totals()


def page(piece: Piece, *, after: str = "", limit: int = PAGE) -> Users:
    """Return the runs that used a piece, newest first; `after`: those past this run."""
    source = _source(piece)
    found = source.runs(after=after, limit=limit + 1)
    shown = found[:limit]
    uses, left = source.uses(shown), _left(shown)
    runs = Run.objects.select_related("release").in_bulk(shown)
    rows = [User(runs[run], uses[run], left.get(run, Left())) for run in shown if run in runs and run in uses]
    return Users(tuple(rows), shown[-1] if len(found) > limit else "")


def quarantines(piece: Piece) -> list[Quarantine]:
    """Return the quarantines that hold of a piece, or of what it is a part of."""
    kind, name = quarantinable(piece)
    if kind == "provider":
        named = Q(ref__in={name, name.partition("/")[0]}) | Q(ref__startswith=f"{name}/")
    elif kind == "model":
        return []
    else:
        named = Q(ref=name)
    return list(Quarantine.objects.filter(named, kind=kind, released_at=None).order_by("-pk"))


def quarantinable(piece: Piece) -> tuple[str, str]:
    """Return what would be quarantined to take a piece out of use: of a revision or a chunk its document."""
    if piece.kind == "revision":
        return "document", piece.name.rpartition("@")[0]
    if piece.kind == "chunk":
        return "document", piece.name.rpartition("#")[0].rpartition("@")[0]
    return piece.kind, piece.name


def can_be_quarantined(piece: Piece) -> bool:
    """Say whether there is a way to take it out of use."""
    return quarantinable(piece)[0] in QUARANTINED


def _source(piece: Piece) -> Source:
    if piece.kind == "model":
        return Called(None, piece.name, piece.since, piece.until)
    if piece.kind == "provider":
        provider, _, model = piece.name.partition("/")
        return Called(provider, model or None, piece.since, piece.until)
    if piece.kind == "release":
        return Released(pieces.release_rows(piece.name)[0])
    if piece.kind == "chunk":
        found = pieces.passages(piece.kind, piece.name)
        assert found.chunk is not None
        return Given(found.versions[0], found.chunk)
    kind = "document" if piece.kind == "revision" else piece.kind
    return Recorded(kind, pieces.lineage_refs(piece.kind, piece.name))


_LEFT: Final = """
SELECT wanted.run, left_behind.kind, left_behind.name FROM unnest($1::text[]) AS wanted(run)
 CROSS JOIN LATERAL (
    (SELECT 'memory' AS kind, m.environment_id || '/' || m.scope || '/' || m.key || '@' || v.number AS name
       FROM workflows_memoryversion v JOIN workflows_memory m ON m.id = v.memory_id
      WHERE v.run_id = wanted.run ORDER BY v.path, v.epoch LIMIT $2)
    UNION ALL
    (SELECT DISTINCT 'tool', ref FROM (
        SELECT ref FROM workflows_lineage WHERE run_id = wanted.run AND kind = 'tool' LIMIT $3) AS used)
    UNION ALL
    (SELECT 'run', id FROM workflows_run WHERE parent_id = wanted.run LIMIT $2)) AS left_behind
"""


def _left(runs: Sequence[str]) -> Mapping[str, Left]:
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for run, kind, name in database.fetch_all(_LEFT, [list(runs), LEFT + 1, STEPS]):
        found[run][kind].append(pieces.plain(name) if kind == "tool" else name)
    reading = _only_read({name for each in found.values() for name in each["tool"]})
    return {run: _told(each, reading) for run, each in found.items()}


def _told(found: Mapping[str, list[str]], reading: set[str]) -> Left:
    tools = sorted({name for name in found["tool"] if name not in reading})
    kinds = (found["memory"], tools, found["run"])
    memory, tools_told, runs = (tuple(each[:LEFT]) for each in kinds)
    return Left(memory, tools_told, runs, more=any(len(each) > LEFT for each in kinds))


def _only_read(tools: set[str]) -> set[str]:
    """Return those of some versions of tools that change nothing outside."""
    parts = [name.rpartition("@") for name in tools]
    found = DefinitionVersion.objects.filter(
        definition__kind="Tool",
        definition__name__in={name for name, _, _ in parts},
        version__in={int(version) for _, _, version in parts},
    ).values_list("definition__name", "version", "body")
    return {f"{name}@{version}" for name, version, body in found if body.get("effect") == "read"}
