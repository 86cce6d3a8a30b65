"""One run for its page: steps with attempts, what they read and asked, events, documents, cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import Max, Q

from workflows import payloads, states
from workflows.models import Attempt, Call, DefinitionVersion, JournalEvent, Lineage, Run, StepRun
from workflows.payloads import Json

_MISSING: Final = "This value is not stored any more."


@dataclass(frozen=True, kw_only=True)
class AttemptView:
    """One try of a step."""

    id: int
    number: int
    epoch: int
    state: str
    worker: str
    started_at: datetime
    ended_at: datetime | None
    error: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class StepView:
    """One step run with its attempts; payloads are left out, so that they can never hide the timeline."""

    id: int
    path: str
    step_id: str
    kind: str
    epoch: int
    ordinal: int
    parent_id: int | None
    item: int | None
    state: str
    reason: str
    failures: int
    losses: int
    error: Mapping[str, Any] | None
    started_at: datetime | None
    ended_at: datetime | None
    wake_at: datetime | None
    cost_usd: Decimal | None
    tokens: Mapping[str, Any] | None
    input_hash: bytes | None
    output_hash: bytes | None
    attempts: tuple[AttemptView, ...] = ()

    @property
    def shown_state(self) -> str:
        """The state as people see it: a step that waits for its next try is retrying."""
        if self.state == "waiting" and self.reason == "retry":
            return "retrying"
        if self.state == "waiting" and self.reason == "children":
            return "running"
        return self.state

    @property
    def can_change(self) -> bool:
        return self.state not in states.STEP_ENDED


@dataclass(frozen=True)
class Value:
    """A payload as the page shows it: the value, or why there is none."""

    value: Json = None
    problem: str = ""
    present: bool = True


_STEP_COLUMNS: Final = tuple(each.name for each in fields(StepView) if each.name != "attempts")
_ATTEMPT_COLUMNS: Final = tuple(each.name for each in fields(AttemptView) if each.name != "epoch")


def steps_of(run_id: str) -> tuple[StepView, ...]:
    """Return the current step runs of a run, each with the attempts of all its epochs.

    Plain rows, not model instances: a run may have ten thousand, and this takes half the time.
    """
    steps = StepRun.objects.filter(run_id=run_id).order_by("ordinal", "id")
    rows = list(steps.values(*_STEP_COLUMNS, "superseded"))
    places = {row["id"]: (row["path"], row["epoch"]) for row in rows}
    attempts: dict[str, list[AttemptView]] = defaultdict(list)
    tries = Attempt.objects.filter(run_id=run_id).order_by("started_at", "id")
    for row in tries.values(*_ATTEMPT_COLUMNS, "step_run_id"):
        step_run_id = row.pop("step_run_id")
        if step_run_id in places:
            path, epoch = places[step_run_id]
            attempts[path].append(AttemptView(**row, epoch=epoch))
    return tuple(
        StepView(**row, attempts=tuple(attempts[row["path"]])) for row in rows if not row.pop("superseded")
    )


def value_of(key: bytes | memoryview | None) -> Value:
    """Return a payload, or the words for its absence."""
    if key is None:
        return Value(present=False)
    try:
        return Value(payloads.load_one(key))
    except payloads.PayloadMissing:
        return Value(problem=_MISSING)


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
    """Return what a step used: kind and reference."""
    return list(
        Lineage.objects.filter(run_id=run_id, step_run_id=step_run_id)
        .order_by("id")
        .values_list("kind", "ref")
    )


def events_of(run_id: str, *, after: int = 0, limit: int = 500) -> list[JournalEvent]:
    """Return the journal in order, from after one event."""
    return list(JournalEvent.objects.filter(run_id=run_id, seq__gt=after).order_by("seq")[:limit])


def mark_of(run_id: str) -> tuple[int, int]:
    """Return the newest event and the number of calls: equal as long as nothing happened to the run."""
    newest = JournalEvent.objects.filter(run_id=run_id).aggregate(seq=Max("seq"))
    calls = Call.objects.filter(run_id=run_id, ended_at__isnull=False).count()
    return newest["seq"] or 0, calls


def counts_of(run_id: str) -> dict[str, int]:
    """Count what the tabs of the page hold."""
    return {"events": JournalEvent.objects.filter(run_id=run_id).count()}


def definition_of(run: Run) -> DefinitionVersion | None:
    """Return the workflow version that the run's release pins."""
    name, version = run.release.manifest.get("workflow", [run.workflow, None])
    return DefinitionVersion.objects.filter(
        definition__kind="Workflow", definition__name=name, version=version
    ).first()


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
