"""Take in a run that was packed on another machine: as it was, under its own id, in the environment `imported`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import IntegrityError, transaction

from workflows import audit, payloads, pieces
from workflows.actor import Actor
from workflows.errors import Conflict, Invalid
from workflows.models import Attempt, Call, Environment, JournalEvent, Lineage, Release, Run, StepRun
from workflows.models.releases import IMPORTED
from workflows.payloads import Batch
from workflows.replay import beginnings
from workflows.replay import record as records
from workflows.replay.packing import FORMAT, RUN_FIELDS, VERSION
from workflows.replay.rebuilt import Rebuilt, Step, Tried
from workflows.replay.record import Answered, Event, Record
from workflows.replay.walk import Walk

Json = Any
_MOMENTS: Final = frozenset({"created_at", "started_at", "ended_at"})
_CALL_VALUES: Final = frozenset({"request_hash", "response_hash", "answer_hash"})


def unpack(packed: Json, *, actor: Actor) -> Run:
    """Take in a packed run with its child runs; all of it or, with any fault, nothing.

    Raises:
        Invalid: it is no packed run, it is damaged, or a newer or an older version wrote it.
        Conflict: the run is here already.
    """
    body = _checked(packed)
    ids = [each["run"]["id"] for each in body["runs"]]
    _refuse_known(ids)
    try:
        with transaction.atomic():
            Environment.objects.get_or_create(pk=IMPORTED, defaults={"protected": True})
            _store(body["values"])
            releases = _releases(body["releases"])
            for each in body["runs"]:
                _take_in(each, releases)
            audit.record(actor, "run.import", "run", ids[0], data={"runs": len(ids)})
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, IntegrityError) as fault:
        _refuse_known(ids)  # somebody else took it in meanwhile
        raise Invalid(
            f"The file cannot be taken in: {type(fault).__name__} at {str(fault)[:200]}.", code="file_damaged"
        ) from fault
    return Run.objects.select_related("release").get(pk=ids[0])


def _refuse_known(ids: Sequence[str]) -> None:
    """Raise Conflict where one of the runs is here."""
    here = Run.objects.filter(pk__in=ids).values_list("pk", flat=True).first()
    if here is not None:
        raise Conflict(f"Run {here} is here already.", code="run_exists")


def _checked(packed: Json) -> Mapping[str, Json]:
    if not isinstance(packed, dict) or packed.get("format") != FORMAT:
        raise Invalid("This is no file of a packed run.", code="file_unknown")
    _check_version(packed.get("version"))
    body = {key: packed.get(key) for key in ("runs", "releases", "values")}
    if not all(body.values()) or payloads.digest(body).hex() != packed.get("digest"):
        raise Invalid("The file is damaged: its digest is another one.", code="file_damaged")
    return body


def _check_version(version: Json) -> None:
    """Raises: Invalid, where this installation does not read files of that version."""
    if type(version) is not int:
        raise Invalid("This is no file of a packed run: it does not say its version.", code="file_unknown")
    reads = f"The file is of version {str(version)[:20]}; this installation reads version {VERSION}."
    if version > VERSION:
        raise Invalid(f"{reads} Take it in with a newer one.", code="file_too_new")
    if version < VERSION:
        raise Invalid(f"{reads} Export the run anew where it is kept.", code="file_too_old")


def _store(values: Mapping[str, Json]) -> None:
    batch = Batch()
    for key, value in values.items():
        if batch.add(value) != key:
            raise Invalid(f"The file is damaged: value {key[:12]}… is another one.", code="file_damaged")
    payloads.store(batch)


def _releases(packed: Mapping[str, Json]) -> dict[int, int]:
    """Make the releases that are not here yet; return their rows by those of the file. Children come first."""
    made: dict[int, int] = {}

    def make(row: int) -> int:
        if row not in made:
            found = packed[str(row)]
            children = {ref: make(int(child)) for ref, child in found["children"].items()}
            made[row] = _release(found, children)
        return made[row]

    for row in packed:
        make(int(row))
    return made


def _release(found: Mapping[str, Json], children: Mapping[str, int]) -> int:
    owners = dict(Release.objects.filter(pk__in=children.values()).values_list("pk", "workflow"))
    documents = {**found["documents"], "releases": {ref: owners[row] for ref, row in children.items()}}
    digest = payloads.digest([found["manifest"], documents]).hex()
    batch = Batch()
    key = batch.add(documents)
    payloads.store(batch)
    release, _ = Release.objects.get_or_create(
        workflow=f"{IMPORTED}/{digest[:32]}",
        number=found["number"],
        defaults={
            "content_hash": digest,
            "manifest": found["manifest"],
            "documents_hash": bytes.fromhex(key),
            "created_by": IMPORTED,
        },
    )
    return int(release.pk)


def _take_in(packed: Mapping[str, Json], releases: Mapping[int, int]) -> None:
    run = _run(packed, releases)
    journal = [_event(run, row, releases) for row in packed["journal"]]
    JournalEvent.objects.bulk_create(journal)
    rebuilt = Walk(_record(run, journal, packed)).to()
    rows = _steps(run, rebuilt)
    Call.objects.bulk_create([_call(run, row, rows) for row in packed["calls"]])
    Lineage.objects.bulk_create(
        [
            Lineage(run=run, step_run=rows[path, epoch], kind=kind, ref=pieces.from_elsewhere(kind, ref))
            for path, epoch, kind, ref in packed["lineage"]
        ]
    )


def _run(packed: Mapping[str, Json], releases: Mapping[int, int]) -> Run:
    told = {"sealed": False, **packed["run"]}  # an earlier version knew no secrets
    given = {name: told[name] for name in RUN_FIELDS}
    given |= {name: _moment(given[name]) for name in _MOMENTS}
    fork = given["fork"]
    return Run.objects.create(
        **{**given, "cost_usd": _decimal(given["cost_usd"])},
        environment_id=IMPORTED,
        release_id=releases[int(packed["release"])],
        input_hash=bytes.fromhex(packed["input"]),
        output_hash=_bytes(packed["output"]),
        forked_from=Run.objects.filter(pk=fork["of"]).first() if fork else None,
    )


def _event(run: Run, row: Sequence[Json], releases: Mapping[int, int]) -> JournalEvent:
    type_, at, step, epoch, attempt, n, data = row
    if step is None and "release" in data:
        data = {**data, "release": releases[int(data["release"])]}
    return JournalEvent(
        run=run,
        type=type_,
        at=datetime.fromisoformat(at),
        step=step,
        epoch=epoch,
        attempt=attempt,
        n=n,
        data=data,
    )


def _record(run: Run, journal: Sequence[JournalEvent], packed: Mapping[str, Json]) -> Record:
    calls: dict[tuple[str, int, int], list[Answered]] = defaultdict(list)
    for row in packed["calls"]:
        if row["state"] == "done":
            answered = Answered(
                answer=row["answer_hash"], error=row["error"], cost_usd=_decimal(row["cost_usd"])
            )
            calls[row["path"], row["epoch"], row["attempt"]].append(answered)
    events = tuple(
        Event(
            seq=each.pk,
            type=each.type,
            at=each.at,
            step=each.step,
            epoch=each.epoch,
            attempt=each.attempt,
            data=each.data,
        )
        for each in journal
    )
    return records.put_together(run, events, calls)


def _steps(run: Run, rebuilt: Rebuilt) -> dict[tuple[str, int], StepRun]:
    """Write the rebuilt step runs with their attempts; return them by path and epoch."""
    batch = Batch()
    for value in rebuilt.made.values():
        batch.add(value)
    payloads.store(batch)
    current: dict[str, StepRun] = {}
    rows: dict[tuple[str, int], StepRun] = {}
    for step in [*rebuilt.superseded, *sorted(rebuilt.steps.values(), key=lambda each: each.path.count("/"))]:
        row = _step(run, step, parent=beginnings.parent(step.path, current))
        row.superseded = step not in rebuilt.steps.values()
        row.save(force_insert=True)
        rows[step.path, step.epoch] = row
        if not row.superseded:
            current[step.path] = row
        Attempt.objects.bulk_create([_attempt(run, row, tried) for tried in step.attempts])
    return rows


def _step(run: Run, step: Step, *, parent: StepRun | None) -> StepRun:
    return StepRun(
        run=run,
        path=step.path,
        step_id=step.step_id,
        kind=step.kind,
        epoch=step.epoch,
        ordinal=step.ordinal,
        parent=parent,
        item=step.item,
        item_hash=_bytes(step.frame),
        at_end=step.at_end,
        state=step.state,
        attempts_made=len(step.attempts),
        failures=step.failures,
        losses=step.losses,
        input_hash=_bytes(step.input),
        output_hash=_bytes(step.output),
        error=step.error,
        started_at=step.started_at,
        ended_at=step.ended_at,
        cost_usd=step.cost_usd or None,
    )


def _attempt(run: Run, row: StepRun, tried: Tried) -> Attempt:
    return Attempt(
        run=run,
        step_run=row,
        number=tried.number,
        state=tried.state,
        worker=tried.worker,
        lease="00000000-0000-0000-0000-000000000000",
        started_at=tried.started_at,
        ended_at=tried.ended_at,
        error=tried.error,
    )


def _call(run: Run, row: Mapping[str, Json], rows: Mapping[tuple[str, int], StepRun]) -> Call:
    given = {key: value for key, value in row.items() if key not in ("path", "epoch")}
    given |= {name: _bytes(given[name]) for name in _CALL_VALUES}
    given |= {name: _moment(given[name]) for name in ("started_at", "ended_at")}
    return Call(
        **{**given, "cost_usd": _decimal(given["cost_usd"])},
        run=run,
        step_run=rows[row["path"], row["epoch"]],
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _bytes(key: str | None) -> bytes | None:
    return None if key is None else bytes.fromhex(key)
