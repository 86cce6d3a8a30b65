"""The record of one run: its journal, the answers it got from models, and the values that both name.

Nothing else is needed to decide everything in it again; where it was read from makes no difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from workflows import database, payloads
from workflows.engine import bundle
from workflows.engine.bundle import Bundle
from workflows.models import Call, JournalEvent, Run

Json = Any
Place = tuple[str, int, int]  # path, epoch, attempt


class NotKept(Exception):
    """Too little is stored of a run to decide anything in it again: what is missing."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One entry of the journal; `step` null: the run's own."""

    seq: int
    type: str
    at: datetime
    step: str | None
    epoch: int | None
    attempt: int | None
    data: Mapping[str, Json]


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What came of one request to a model. `answer`: the hash of a `Response`, in hex; null: `error` says why."""

    answer: str | None
    error: Mapping[str, Json] | None
    cost_usd: Decimal | None


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything that a run did. Hashes are in hex; `started_at` is the text that expressions saw."""

    run: str
    workflow: str
    environment: str
    session: str | None
    variables: Mapping[str, Json]
    pins: Mapping[str, int]
    started_at: str
    engine: int
    bundles: Mapping[int, Bundle]  # of every release that it went on, by its row
    events: Sequence[Event]
    calls: Mapping[Place, Sequence[Answered]]
    values: Mapping[str, Json] = field(repr=False)

    @property
    def input(self) -> str:
        """The hash of the run's input."""
        return str(self.events[0].data["input"])

    def value(self, key: str) -> Json:
        """Return a value by its hash. Raises: PayloadMissing."""
        if key in self.values:
            return self.values[key]
        try:
            return payloads.load_one(key)  # named by another value, not by an event
        except payloads.UNREADABLE:
            raise payloads.PayloadMissing(f"Payload {key[:12]}… is not stored any more.") from None


def of_run(run: Run) -> Record:
    """Read the record of a run from the tables. Raises: NotKept."""
    events = tuple(_events(run.pk))
    if not events or events[0].type != "run.created" or "input" not in events[0].data:
        raise NotKept("the beginning of its journal")
    calls = _calls(run.pk)
    return put_together(run, events, calls)


def put_together(run: Run, events: Sequence[Event], calls: Mapping[Place, Sequence[Answered]]) -> Record:
    """Return the record of a run from its journal and the answers that it got. Raises: NotKept."""
    created = events[0].data
    return Record(
        run=run.pk,
        workflow=run.workflow,
        environment=run.environment_id,
        session=run.session,
        variables=created.get("variables", {}),
        pins=created.get("pins", {}),
        started_at=_started_at(run),
        engine=int(created.get("engine", 1)),
        bundles=_bundles(events),
        events=events,
        calls=calls,
        values=payloads.kept(named(events, calls)),
    )


def _bundles(events: Iterable[Event]) -> dict[int, Bundle]:
    """Return the documents of the releases that it went on. Raises: NotKept."""
    try:
        return {row: bundle.load(row) for row in releases(events)}
    except (LookupError, payloads.PayloadMissing):
        raise NotKept("the documents of its release") from None


def _started_at(run: Run) -> str:
    """Return when it began, in the very text that expressions see."""
    began = database.fetch_all(
        "SELECT to_jsonb(coalesce(started_at, created_at)) #>> '{}' FROM workflows_run WHERE id = $1",
        [run.pk],
    )
    return str(began[0][0])


def _events(run: str) -> Iterable[Event]:
    rows = JournalEvent.objects.filter(run_id=run).order_by("seq")
    for row in rows.iterator(chunk_size=2000):
        yield Event(
            seq=row.seq,
            type=row.type,
            at=row.at,
            step=row.step,
            epoch=row.epoch,
            attempt=row.attempt,
            data=row.data,
        )


def _calls(run: str) -> dict[Place, tuple[Answered, ...]]:
    found: dict[Place, list[Answered]] = defaultdict(list)
    rows = (
        Call.objects.filter(run_id=run, state="done")
        .order_by("step_run_id", "attempt", "number")
        .values_list("step_run__path", "step_run__epoch", "attempt", "answer_hash", "error", "cost_usd")
    )
    for path, epoch, attempt, answer, error, cost_usd in rows.iterator(chunk_size=2000):
        answered = Answered(
            answer=None if answer is None else bytes(answer).hex(), error=error, cost_usd=cost_usd
        )
        found[path, epoch, attempt].append(answered)
    return {place: tuple(answers) for place, answers in found.items()}


def releases(events: Iterable[Event]) -> set[int]:
    """Return the rows of the releases that a run went on."""
    return {int(event.data["release"]) for event in events if event.step is None and "release" in event.data}


def named(events: Iterable[Event], calls: Mapping[Place, Sequence[Answered]]) -> set[str]:
    """Return the hashes of all values that events and calls name."""
    found = {
        str(event.data[key])
        for event in events
        for key in ("input", "output", "answer", "rows")
        if _names(event, key)
    }
    found |= {each.answer for answers in calls.values() for each in answers if each.answer is not None}
    return found


def _names(event: Event, key: str) -> bool:
    # A signal's own event tells of its payload; its taker is answered with it.
    return isinstance(event.data.get(key), str)
