"""Prompts for their pages: the list with what holds each, and one with who used which version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.core.cache import cache
from django.db.models import Count, OuterRef, Subquery
from django.db.models.fields.json import KeyTransform

from workflows import database, payloads
from workflows.models import (
    AuditEntry,
    Definition,
    DefinitionVersion,
    Deployment,
    Release,
    Run,
    StepRun,
)
from workflows.payloads import Json, PayloadMissing
from workflows.queries.run_list import titles

PAGE: Final = 100
COUNT_LIMIT: Final = 10_000
SAMPLES: Final = 12
SHOWN_VERSIONS: Final = 200
_DAYS: Final = timedelta(days=7)
_KEPT_S: Final = 120


@dataclass(frozen=True)
class Live:
    """A version of a prompt that new runs of some workflows get."""

    environment: str
    version: int
    workflows: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PromptRow:
    """One line of the list; `runs` are those of the last 7 days whose release holds the prompt."""

    name: str
    version: int
    changed_at: datetime | None
    changed_by: str
    live: tuple[Live, ...] = ()
    workflows: tuple[str, ...] = ()
    runs: int = 0


@dataclass(frozen=True)
class PromptPage:
    """A page of the list, and whether there is more after it."""

    rows: tuple[PromptRow, ...]
    more: bool


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version as the rail shows it."""

    number: int
    created_at: datetime
    created_by: str
    note: str = ""
    live: tuple[str, ...] = ()


@dataclass(frozen=True)
class Use:
    """How often a version was used: runs among its newest steps, `capped` where there are more."""

    version: int
    runs: int
    steps: int
    capped: bool


@dataclass(frozen=True)
class Holder:
    """A release that holds the prompt."""

    workflow: str
    number: int
    version: int
    created_at: datetime


@dataclass(frozen=True)
class Sample:
    """A step of an earlier run that used the prompt, to fill it in with what the step gave it."""

    key: str
    run: str
    title: str
    step: str
    version: int
    at: datetime | None
    input_hash: bytes | None = field(default=None, repr=False)


def page(*, contains: str = "", after: str = "", now: datetime) -> PromptPage:
    """Return a page of prompts by name, those after a name, with what holds each."""
    newest = DefinitionVersion.objects.filter(definition=OuterRef("pk"), version=OuterRef("latest_version"))
    found = Definition.objects.filter(kind="Prompt", archived_at=None).order_by("name")
    if contains:
        found = found.filter(name__contains=contains.replace("\0", ""))
    if after:
        found = found.filter(name__gt=after.replace("\0", ""))
    columns = found.annotate(
        changed_at=Subquery(newest.values("created_at")[:1]),
        changed_by=Subquery(newest.values("created_by")[:1]),
    ).values_list("name", "latest_version", "changed_at", "changed_by")
    rows = list(columns[: PAGE + 1])
    held = _held({name for name, *_ in rows[:PAGE]})
    runs = _runs_by_prompt(now) if rows else {}
    return PromptPage(tuple(_row(row, held, runs) for row in rows[:PAGE]), len(rows) > PAGE)


def _row(
    row: tuple[str, int, datetime | None, str | None],
    held: Mapping[str, tuple[Live, ...]],
    runs: Mapping[str, int],
) -> PromptRow:
    name, version, changed_at, changed_by = row
    live = held.get(name, ())
    return PromptRow(
        name=name,
        version=version,
        changed_at=changed_at,
        changed_by=changed_by or "",
        live=live,
        workflows=tuple(sorted({workflow for each in live for workflow in each.workflows})),
        runs=runs.get(name, 0),
    )


def live(name: str) -> tuple[Live, ...]:
    """Return the versions of a prompt that deployed releases hold."""
    return _held({name}).get(name, ())


def _held(names: set[str]) -> dict[str, tuple[Live, ...]]:
    """By prompt: its versions in what is deployed, by environment and newest first."""
    deployed = Deployment.objects.order_by("environment_id", "workflow").values_list(
        "environment_id", "workflow", "stable__manifest__prompts"
    )
    found: dict[str, dict[tuple[str, int], list[str]]] = defaultdict(lambda: defaultdict(list))
    for environment, workflow, prompts in deployed:
        for reference, version in (prompts or {}).items():
            name = reference.partition("@")[0]
            if name in names:
                found[name][environment, version].append(workflow)
    return {
        name: tuple(
            Live(environment, version, tuple(dict.fromkeys(workflows)))
            for (environment, version), workflows in sorted(
                places.items(), key=lambda at: (at[0][0], -at[0][1])
            )
        )
        for name, places in found.items()
    }


def _runs_by_prompt(now: datetime) -> Mapping[str, int]:
    """By prompt: the runs of the last days whose release holds it. Counted anew every two minutes at most."""
    known: Mapping[str, int] | None = cache.get("prompts:runs")
    if known is None:
        known = _count_runs(now)
        cache.set("prompts:runs", known, timeout=_KEPT_S)
    return known


def _count_runs(now: datetime) -> Mapping[str, int]:
    recent = Run.objects.filter(created_at__gte=now - _DAYS).order_by()
    by_release = dict(recent.values_list("release_id").annotate(Count("id")))
    counts: dict[str, int] = defaultdict(int)
    manifests = Release.objects.filter(pk__in=by_release).values_list("pk", "manifest__prompts")
    for release, prompts in manifests:
        for name in {reference.partition("@")[0] for reference in prompts or {}}:
            counts[name] += by_release[release]
    return dict(counts)


def versions(definition: Definition, held: Sequence[Live]) -> list[Version]:
    """Return the newest versions with their authors' notes and where each is live, newest first."""
    rows = definition.versions.order_by("-version").values_list("version", "created_at", "created_by")
    found = list(rows[:SHOWN_VERSIONS])
    notes = _notes(definition, [number for number, *_ in found])
    return [
        Version(
            number=number,
            created_at=created_at,
            created_by=created_by,
            note=notes.get(number, ""),
            live=tuple(each.environment for each in held if each.version == number),
        )
        for number, created_at, created_by in found
    ]


def _notes(definition: Definition, numbers: Iterable[int]) -> dict[int, str]:
    entries = AuditEntry.objects.filter(
        object_kind=definition.kind,
        object_id__in=[f"{definition.name}@{number}" for number in numbers],
        action="definition.save",
    ).exclude(reason="")
    return {
        int(object_id.rpartition("@")[2]): reason
        for object_id, reason in entries.values_list("object_id", "reason")
    }


def _references(name: str, numbers: Iterable[int]) -> list[str]:
    """How lineage names these versions: `triage@3`, and `triage@3@3` where a step pinned it."""
    return [ref for number in numbers for ref in (f"{name}@{number}", f"{name}@{number}@{number}")]


def samples(name: str, numbers: Sequence[int]) -> list[Sample]:
    """Return the newest steps that used one of these versions of a prompt."""
    rows = database.fetch_all(
        """
        SELECT newest.step_run_id, newest.ref FROM unnest($1::text[]) AS wanted(ref) CROSS JOIN LATERAL (
            SELECT run_id, step_run_id, ref FROM workflows_lineage WHERE kind = 'prompt' AND ref = wanted.ref
             ORDER BY run_id DESC, step_run_id DESC LIMIT $2) AS newest
         ORDER BY newest.run_id DESC, newest.step_run_id DESC LIMIT $2
        """,
        [_references(name, numbers), SAMPLES],
    )
    steps = StepRun.objects.select_related("run").in_bulk([step for step, _ in rows])
    named = titles(list({step.run_id: step.run for step in steps.values()}.values()))
    return [_sample(steps[step], ref, named) for step, ref in rows if step in steps]


def _sample(step: StepRun, ref: str, named: Mapping[str, str]) -> Sample:
    return Sample(
        key=str(step.pk),
        run=step.run_id,
        title=named.get(step.run_id, step.run_id),
        step=step.path,
        version=int(ref.rpartition("@")[2]),
        at=step.ended_at or step.started_at,
        input_hash=bytes(step.input_hash) if step.input_hash else None,
    )


def variables_of(sample: Sample) -> Mapping[str, Json] | None:
    """Return what the step gave the prompt's variables; None where that is not stored any more."""
    try:
        asked = payloads.load_one(sample.input_hash)
    except PayloadMissing:
        return None
    given = asked.get("variables") if isinstance(asked, dict) else None
    return given if isinstance(given, dict) else None


def uses(name: str, numbers: Sequence[int]) -> list[Use]:
    """Count the runs that used each version, each among `COUNT_LIMIT` of its steps at the most."""
    if not numbers:
        return []
    rows = database.fetch_all(
        """
        SELECT wanted.version, used.runs, used.steps
          FROM unnest($2::int[]) AS wanted(version)
          CROSS JOIN LATERAL (
            SELECT count(DISTINCT run_id) AS runs, count(*) AS steps
              FROM (SELECT run_id FROM workflows_lineage
                     WHERE kind = 'prompt'
                       AND ref IN ($1 || '@' || wanted.version,
                                   $1 || '@' || wanted.version || '@' || wanted.version)
                     LIMIT $3) AS newest
          ) AS used
         ORDER BY wanted.version DESC
        """,
        [name, list(numbers), COUNT_LIMIT + 1],
    )
    return [Use(version, runs, steps, steps > COUNT_LIMIT) for version, runs, steps in rows]


def holders(name: str, *, limit: int) -> list[Holder]:
    """Return the newest releases that hold the prompt by its name, with the version that each has."""
    found = Release.objects.filter(manifest__prompts__has_key=name).order_by("-created_at", "-id")
    version = KeyTransform(name, KeyTransform("prompts", "manifest"))
    rows = found.annotate(version=version).values_list("workflow", "number", "version", "created_at")
    return [Holder(*row) for row in rows[:limit]]
