"""One run for its page: steps with attempts, what they read and asked, events, documents, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Q

from workflows import database, payloads, pieces
from workflows.models import Call, DefinitionVersion, JournalEvent, Lineage, Run, StepRun, Worker
from workflows.payloads import Json
from workflows.queries.step_rows import AttemptView, StepView, steps_of
from workflows.spec import templates, workflow

__all__ = ["AttemptView", "StepView", "Value", "steps_of"]

MISSING: Final = "This value is not stored any more."
DAMAGED: Final = "This value cannot be read: its stored form is damaged, or the database refused to give it."


@dataclass(frozen=True)
class Value:
    """A payload as the page shows it: the value, or why there is none."""

    value: Json = None
    problem: str = ""
    present: bool = True


def value_of(key: bytes | memoryview | None) -> Value:
    """Return a payload, or the words for its absence."""
    if key is None:
        return Value(present=False)
    try:
        return Value(payloads.load_one(key))
    except payloads.PayloadMissing:
        return Value(problem=MISSING)
    except payloads.UNREADABLE:
        return Value(problem=DAMAGED)


def calls_of(run_id: str, *, step_run_ids: Sequence[int] | None = None) -> list[Call]:
    """Return the provider calls of a run, or of some of its step runs, in order."""
    calls = Call.objects.filter(run_id=run_id).order_by("id")
    if step_run_ids is not None:
        calls = calls.filter(step_run_id__in=step_run_ids)
    return list(calls)


def payload_belongs(run: Run, key: bytes) -> bool:
    """Say whether a payload is part of the record of this run."""
    if key in (bytes(run.input_hash), bytes(run.output_hash or b"")):
        return True
    if StepRun.objects.filter(Q(input_hash=key) | Q(output_hash=key), run=run).exists():
        return True
    return Call.objects.filter(Q(request_hash=key) | Q(response_hash=key), run=run).exists()


def lineage_of(run_id: str, step_run_id: int) -> list[tuple[str, str]]:
    """Return what a step used: kinds and names of pieces of state, and runs."""
    found = Lineage.objects.filter(run_id=run_id, step_run_id=step_run_id).order_by("id")
    return pieces.named(found.values_list("kind", "ref"))


@dataclass(frozen=True, kw_only=True)
class EventPage:
    """Some events in order, and whether there are more on either side."""

    events: Sequence[JournalEvent]
    earlier: bool
    later: bool


def events_of(
    run_id: str,
    *,
    kind: str = "",
    step: str = "",
    after: int = 0,
    before: int | None = None,
    around: int | None = None,
    limit: int = 200,
) -> EventPage:
    """Return a page of the journal: from after a `seq`, up to before one, or with one in it.

    `kind`: the beginning of the type. `step`: a part of the path.
    """
    events = JournalEvent.objects.filter(run_id=run_id)
    if kind:
        events = events.filter(type__startswith=kind)
    if step:
        events = events.filter(step__icontains=step)
    if around is not None:
        lead = list(
            events.filter(seq__lt=around).order_by("-seq").values_list("seq", flat=True)[: limit // 4]
        )
        after = (lead[-1] if lead else around) - 1
    if before is not None:
        found = list(events.filter(seq__lt=before).order_by("-seq")[: limit + 1])
        return EventPage(events=found[:limit][::-1], earlier=len(found) > limit, later=bool(found))
    found = list(events.filter(seq__gt=after).order_by("seq")[: limit + 1])
    earlier = after > 0 and events.filter(seq__lte=after).exists()
    return EventPage(events=found[:limit], earlier=earlier, later=len(found) > limit)


def event_types(run_id: str) -> list[str]:
    """Return the types of events that a run has."""
    types = JournalEvent.objects.filter(run_id=run_id).order_by("type").values_list("type", flat=True)
    return list(types.distinct())


@dataclass(frozen=True)
class Standing:
    """How far a run and its record have come; equal as long as nothing happened to it."""

    state: str
    stopping: str
    seq: int
    calls: int
    at: datetime | None  # of the newest event
    said: int = 0  # the newest entry of the audit log about it


# Past the ORM: every page of a run that is open asks this every few seconds.
_STANDING: Final = """
SELECT r.state, r.stopping, coalesce(newest.seq, 0),
       (SELECT count(*) FROM workflows_call c WHERE c.run_id = r.id AND c.ended_at IS NOT NULL), newest.at,
       (SELECT coalesce(max(a.id), 0) FROM workflows_auditentry a WHERE a.object_kind = 'run' AND a.object_id = r.id)
  FROM workflows_run r
  LEFT JOIN LATERAL (SELECT seq, at FROM workflows_journalevent j WHERE j.run_id = r.id ORDER BY seq DESC LIMIT 1)
       newest ON true
 WHERE r.id = $1
"""


def standing_of(run_id: str) -> Standing | None:
    """Return how far a run has come; None: there is none."""
    rows = database.fetch_all(_STANDING, [run_id.replace("\0", "")])
    return Standing(*rows[0]) if rows else None


def counts_of(run_id: str) -> dict[str, int]:
    """Count what the tabs of the page hold."""
    return {"events": JournalEvent.objects.filter(run_id=run_id).count()}


@dataclass(frozen=True)
class Queue:
    """What a run that has not begun waits behind."""

    ahead: int
    median_wait_s: float | None
    workers: int


@dataclass(frozen=True)
class Held:
    """Who paused a run, when, and why."""

    by: str
    at: datetime
    reason: str


def held(run_id: str) -> Held | None:
    """Return how a run was paused the last time."""
    event = JournalEvent.objects.filter(run=run_id, type="run.paused").order_by("-seq").first()
    told = event.data if event and isinstance(event.data, dict) else {}
    return Held(str(told.get("by") or "somebody"), event.at, str(told.get("reason") or "")) if event else None


_RECENT: Final = 50


def queue_of(run: Run, *, alive_since: datetime) -> Queue:
    """Return how many runs come first, and how long the latest ones waited."""
    first = Q(priority__lt=run.priority) | Q(priority=run.priority, created_at__lt=run.created_at)
    ahead = Run.objects.filter(first, state="queued").count()
    begun = Run.objects.filter(started_at__isnull=False).order_by("-created_at", "-id")
    waits = sorted(
        (started - created).total_seconds()
        for created, started in begun.values_list("created_at", "started_at")[:_RECENT]
        if started is not None
    )
    workers = Worker.objects.filter(seen_at__gte=alive_since).count()
    return Queue(ahead, waits[len(waits) // 2] if waits else None, workers)


def sent(run_id: str, path: str) -> tuple[str, datetime | None]:
    """Return the idempotency key under which a step's call left last, and when; blank where none was recorded."""
    events = JournalEvent.objects.filter(run_id=run_id, step=path, type="step.sending").order_by("-seq")
    data, at = events.values_list("data", "at").first() or (None, None)
    return str(data.get("key", "")) if isinstance(data, dict) else "", at


@dataclass(frozen=True)
class Definition:
    """The workflow version that a run's release pins, as the run's page reads it."""

    body: Mapping[str, Any]

    @property
    def uses(self) -> Mapping[str, str]:
        """For each step id the prompt, corpus or tool that it names."""
        return {id: _use(step) for id, step in find_steps(self.body).items()}

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """For each step id those that it waits for; nothing where the document is not readable any more."""
        return _needs(self.body)


def definition_of(run: Run) -> Definition | None:
    """Return the workflow version that the run's release pins."""
    name, version = run.release.manifest.get("workflow", [run.workflow, None])
    found = DefinitionVersion.objects.filter(
        definition__kind="Workflow", definition__name=name, version=version
    ).values_list("body", flat=True)
    body = found.first()
    return Definition(body) if body is not None else None


def _use(step: Mapping[str, Any]) -> str:
    return next((step[key] for key in ("prompt", "retrieve", "tool") if isinstance(step.get(key), str)), "")


def _needs(body: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    """Return what each step waits for; documents that an older version accepted may not be readable any more."""
    try:
        parsed = workflow.parse(body)
    except (KeyError, TypeError, ValueError, templates.TemplateError):
        return {}
    return {step.id: step.needs for step in workflow.walk([*parsed.steps, *parsed.finally_])}


def find_steps(body: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return every step of a workflow document by its id, inner ones too."""
    found: dict[str, Mapping[str, Any]] = {}

    def visit(value: object) -> None:
        if isinstance(value, list):
            for inner in value:
                visit(inner)
        elif isinstance(value, dict):
            if isinstance(value.get("id"), str):
                found[value["id"]] = value
            for key in ("steps", "branch", "map", "loop", "finally"):
                if key in value:
                    visit(value[key])

    visit({"steps": body.get("steps", []), "finally": body.get("finally", [])})
    return found
