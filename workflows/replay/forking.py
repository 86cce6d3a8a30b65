"""Fork a run: another run that begins in the middle of it, with something changed, and effects from its record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from django.db import transaction

from retrieval import snapshots
from retrieval.errors import RetrievalError
from workflows import audit, database, payloads, quarantine, runs, sealing, states
from workflows.actor import Actor
from workflows.engine import again, bundle, dispatch, hints, starting
from workflows.engine.again import Again
from workflows.engine.bundle import Bundle
from workflows.errors import Conflict, Invalid
from workflows.identifiers import new_run_id
from workflows.models import JournalEvent, Lineage, Release, Run, StepRun
from workflows.payloads import Batch, clean_text
from workflows.recovery import fitting, planning, previewing
from workflows.recovery.previewing import Estimate
from workflows.replay import beginnings, overriding, verify
from workflows.replay.overriding import Overrides
from workflows.replay.rows import Row
from workflows.spec import schema, secret_fields
from workflows.spec.masks import MASK, Veil
from workflows.spec.secret_fields import Marked

Json = Any
Effects = Literal["stub", "live"] | Mapping[str, Literal["live"]]


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a person wants of a fork. `from_step` is the first step that runs again; None: the first of all."""

    from_step: str | None = None
    overrides: Overrides = field(default_factory=Overrides)
    effects: Effects = "stub"


def fork(run_id: str, ask: Ask, *, actor: Actor, reason: str = "", audited: bool = True) -> Run:
    """Create the fork of an ended run. `audited=False`: the caller's own audit entry speaks for many runs.

    Raises:
        UnknownObject: no such run, step, release, prompt, route, tool or snapshot.
        Conflict: the run has not ended, the step never ran, its finished part does not fit the release, its secrets
            are not here, or another release, prompt or snapshot that is asked for is quarantined.
        Invalid: the overrides do not fit together.
    """
    parent = verify.ended(run_id, to_be="forked")
    id = new_run_id()
    base = _base(parent, ask.overrides.release)
    with transaction.atomic():
        runs.hold(parent.pk)
        release = overriding.release(base, ask.overrides, owner=f"fork/{id}")
        if release.pk is None:
            release.save()
        loaded = bundle.load(release.pk)
        _check_effects(loaded, ask.effects)
        given, veil = _input(parent, loaded, ask.overrides)
        ask = replace(ask, overrides=replace(ask.overrides, input=veil.scrub(ask.overrides.input)))
        steps = _forked(parent)
        reached = _reached(bundle.load(parent.release_id), loaded, steps, ask.from_step)
        rows = beginnings.rows(loaded.plan, steps, reached)
        run = _given(parent, id, loaded, ask, given, actor=actor)
        ready = _write(parent, loaded, rows, run, veil)
        beginnings.carry_memory(parent, id, steps, reached)
        if audited:
            why = clean_text(reason, limit=1000)
            audit.record(actor, "run.fork", "run", id, reason=why, data=_said(run_id, ask))
        transaction.on_commit(lambda: dispatch.ring(ready), robust=True)
        transaction.on_commit(lambda: hints.tell(id), robust=True)
    return runs.get(id)


def estimate(run_id: str, from_step: str | None) -> Estimate:
    """Say what a fork on the run's own release would run again. Raises: UnknownObject, Conflict."""
    run = runs.get(run_id)
    steps = _forked(run)
    loaded = bundle.load(run.release_id)
    reached = _reached(loaded, loaded, steps, from_step)
    if reached is None:
        return previewing.estimate(steps, kept=0)
    running = [*(each.step for each in reached.fresh), *reached.gone]
    return previewing.estimate(running, kept=len(steps) - len(running))


def _forked(run: Run) -> list[StepRun]:
    """Return the step runs that a fork takes over or runs again: those at the end always begin anew."""
    return list(run.steps.filter(superseded=False, at_end=False).order_by("id"))


def _said(run_id: str, ask: Ask) -> dict[str, Json]:
    return {"of": run_id, "from": ask.from_step, "overrides": ask.overrides.as_json(), "effects": ask.effects}


def _base(parent: Run, number: int | None) -> Release:
    if number is None:
        return parent.release
    return Release.objects.get(pk=planning.release_row(parent, number))


def _check_effects(loaded: Bundle, effects: Effects) -> None:
    """A misspelt tool would stay stubbed in silence. Raises: Invalid."""
    if isinstance(effects, str):
        return
    known = {tool.name for tool in loaded.tools.values()}
    for name in effects:
        if name not in known:
            raise Invalid(
                f"`effects` names {clean_text(name, limit=80)}; the release has the tools: "
                f"{', '.join(sorted(known)) or 'none'}.",
                code="unknown_tool",
            )


def _reached(old: Bundle, new: Bundle, steps: Sequence[StepRun], from_step: str | None) -> Again | None:
    """Say what runs again; None: everything. Raises: UnknownObject, Conflict."""
    if from_step is None:
        return None
    planning.ran(steps, from_step)
    if (
        new.plan.nodes.get(from_step.rpartition("/")[2].partition("[")[0]) is None
        and "turn[" not in from_step
    ):
        raise Conflict(
            f"The other release has no step {from_step}; fork from an earlier one.",
            code="release_does_not_fit",
        )
    there = [step for step in steps if step.step_id in new.plan.nodes]
    reached = again.from_step(new.plan, there, from_step)
    kept = [step for step in steps if step.path not in reached.paths() and step.state in states.STEP_ENDED]
    fitting.check(old, new, kept, reached.fresh, what="The fork")
    return reached


def _write(parent: Run, loaded: Bundle, rows: Sequence[Row], run: starting.Given, veil: Veil) -> list[int]:
    """Create the run and its first step runs; return those that are ready."""
    batch, id = Batch(), run.id
    document = {
        **starting.document(loaded, run),
        **sealing.at_rest(veil),
        "sealed": parent.sealed or bool(veil.secrets),
        "workflow": parent.workflow,
        "input": batch.add(run.input),
        "idempotency_key": None,
        "concurrency_key": None,  # it takes no place from runs that somebody waits for
        "concurrency_limit": None,
        "steps": [],
    }
    told = batch.add([asdict(row) for row in rows])
    database.call("interlock_start", json.dumps(document), *batch.columns())
    JournalEvent.objects.create(run_id=id, type="run.forked", n=2, data={"rows": told, "of": parent.pk})
    Run.objects.filter(pk=id).update(events=2)
    made = beginnings.write(id, f"{parent.environment_id}/{parent.workflow}", rows, priority=parent.priority)
    _copy_lineage(parent, made)
    return [step.pk for step in made.values() if step.state == "ready"]


def _given(parent: Run, id: str, loaded: Bundle, ask: Ask, given: Json, *, actor: Actor) -> starting.Given:
    """Return what the fork gets: what the run had, but for the overrides."""
    return starting.Given(
        id=id,
        input=given,
        environment=parent.environment_id,
        variables=parent.variables,
        pins=_pins(parent, loaded, ask.overrides),
        priority=parent.priority,
        trigger="fork",
        created_by=str(actor),
        session=parent.session,
        title=f"Fork of {parent.title or parent.pk}",
        tags=tuple(parent.tags),
        fork={
            "of": parent.pk,
            "from": ask.from_step,
            "effects": ask.effects if isinstance(ask.effects, str) else dict(ask.effects),
            "memory": ask.overrides.memory,
            "overrides": ask.overrides.as_json(),
        },
    )


def _input(parent: Run, loaded: Bundle, overrides: Overrides) -> tuple[Json, Veil]:
    """Return the run's input with the patch, as it is written down, and its secrets. Raises: Invalid, Conflict."""
    if overrides.input is None:
        fitting.check_input(parent.input_hash, bundle.load(parent.release_id), loaded, what="The fork")
    given, known = payloads.load_one(parent.input_hash), sealing.of_run(parent)
    patched = given if overrides.input is None else _merged(given, overrides.input)
    places = loaded.plan.definition.secrets
    _check_secrets(parent, patched, places, known)
    sealed, veil = sealing.seal(patched, places, known)
    declared = loaded.plan.definition.input_schema if overrides.input is not None else None
    problems = schema.errors(declared, veil.reveal(sealed)) if declared is not None else ()
    if problems:
        raise Invalid(
            "The patched input does not fit the input schema.",
            code="input_invalid",
            errors=tuple((f"input.{path}" if path else "input", message) for path, message in problems),
        )
    return sealed, veil


def _check_secrets(parent: Run, patched: Json, places: tuple[Marked, ...], known: Veil) -> None:
    """Raises: Invalid, where a secret of the input cannot be one; Conflict, where its value is not here."""
    if parent.sealed and not known.secrets and _masked(patched, places):
        raise Conflict(
            f"The secret input of run {parent.pk} is not stored here, since it was imported. Give its secret fields in "
            "the input of the fork.",
            code="secret_missing",
        )
    problems = sealing.problems(patched, places, known)
    if problems:
        raise Invalid(
            "The secrets in the patched input cannot be kept.",
            code="input_invalid",
            errors=tuple((f"input.{path}" if path else "input", message) for path, message in problems),
        )


def _masked(patched: Json, places: tuple[Marked, ...]) -> bool:
    return any(MASK.fullmatch(text) for text in secret_fields.texts(patched, places).values())


def _merged(value: Json, patch: Json) -> Json:
    """Apply a JSON merge patch (RFC 7396): null takes a key away."""
    if not isinstance(patch, Mapping):
        return patch
    found = dict(value) if isinstance(value, Mapping) else {}
    for key, change in patch.items():
        if change is None:
            found.pop(key, None)
        else:
            found[key] = _merged(found.get(key), change)
    return found


def _pins(parent: Run, loaded: Bundle, overrides: Overrides) -> dict[str, int]:
    """Return the snapshots of the fork: those of the run, but for the overrides. Raises: Invalid, Conflict."""
    names = loaded.all_corpora()
    pins = {name: number for name, number in parent.pins.items() if name in names}
    heads = {name: head for name in names - pins.keys() if (head := snapshots.head(name)) is not None}
    pins |= quarantine.clean_pins(heads)
    for corpus, number in overrides.snapshots.items():
        if corpus not in names:
            raise Invalid(
                f"The run searches no corpus {clean_text(corpus, limit=80)}.", code="not_in_release"
            )
        if number != parent.pins.get(corpus):
            _check_clean_snapshot(corpus, number)
        try:
            pins[corpus] = snapshots.hold(corpus, number)
        except RetrievalError as error:
            raise Invalid(error.message, code=error.code) from None
    return pins


def _check_clean_snapshot(corpus: str, number: int) -> None:
    """Raises: Conflict."""
    if f"{corpus}@{number}" in quarantine.in_force("snapshot"):
        raise Conflict(
            f"The fork does not get snapshot {corpus}@{number}: it is quarantined. Name another one, or release the "
            "quarantine.",
            code="snapshot_quarantined",
        )


def _copy_lineage(parent: Run, made: Mapping[str, StepRun]) -> None:
    """What a kept step used, the fork rests on as well, in the same order: documents stand by rank."""
    kept = {path: step for path, step in made.items() if step.state in states.STEP_ENDED}
    rows = (
        Lineage.objects.filter(run_id=parent.pk, step_run__path__in=list(kept), step_run__superseded=False)
        .order_by("id")
        .values_list("step_run__path", "kind", "ref")
    )
    Lineage.objects.bulk_create(
        [
            Lineage(run_id=step.run_id, step_run=step, kind=kind, ref=ref)
            for path, kind, ref in rows
            for step in [kept[path]]
        ]
    )
