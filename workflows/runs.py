"""Start, cancel and look at runs: permission was checked above, state is checked here, the engine carries it out.

The only writer of run state besides the engine's own statements and recovery.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from django.db import transaction

from workflows import admission, audit, database, orders, payloads, retained, sealing, targets
from workflows.actor import Actor
from workflows.engine import bundle, dispatch, execute, hints
from workflows.engine.plan import Plan
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.identifiers import new_run_id
from workflows.models import Run
from workflows.payloads import Batch, clean_text
from workflows.spec import schema
from workflows.spec.step_bodies import WaitBody

Json = Any
Order = orders.Order
MAX_INPUT_BYTES: Final = 5 * 1024 * 1024
MAX_KEY: Final = 255


@dataclass(frozen=True)
class Started:
    run: Run
    created: bool


def start(order: Order, *, actor: Actor, trigger: str, idempotency_key: str | None = None) -> Started:
    """Create a run, or return the one that this idempotency key named before.

    The key is looked up before anything is checked, and a refused request does not use it up.

    Raises:
        UnknownObject: no such workflow, environment or release.
        Conflict: nothing is deployed there.
        Invalid: the input does not fit, or the key was used for another request.
        TooMany: there is no room for another run now.
    """
    earlier = _earlier(order, idempotency_key)
    if earlier is not None:
        return Started(earlier, created=False)
    admission.ask(order.workflow)
    target = targets.of(order)
    given = orders.Ordered(order, target, actor=actor, trigger=trigger)
    release, loaded, arm = given.chosen()
    _check_input(order, loaded.plan)
    batch = Batch()
    written, veil = orders.sealed(order, loaded.plan)
    document = orders.document(loaded, given.of(written))
    document |= {"input": batch.add(written.input), "idempotency_key": idempotency_key}
    document |= {"request": order.digest(sealed=bool(veil.secrets)), **sealing.at_rest(veil), **arm}
    result = _insert(document, batch)
    if not result["created"]:  # a twin with the same key was faster
        found = _earlier(order, idempotency_key)
        assert found is not None
        return Started(found, created=False)
    admission.started(order.workflow)
    dispatch.ring(result["ready"])
    run = _as_created(document, result)
    run.release, run.environment = release, target.environment
    return Started(run, created=True)


def _insert(document: dict[str, Json], batch: Batch) -> Mapping[str, Json]:
    try:
        return dict(database.call("interlock_start", json.dumps(document), *batch.columns()))
    except psycopg.errors.UniqueViolation:  # two ids of one millisecond drew alike
        document["id"] = new_run_id()
        return dict(database.call("interlock_start", json.dumps(document), *batch.columns()))


def _as_created(document: Mapping[str, Json], result: Mapping[str, Json]) -> Run:
    """Return the run as it was created, without reading it back."""
    values = {
        **document,
        "environment_id": document["environment"],
        "release_id": document["release"],
        "parent_id": document["parent"],
        "rollout_id": document.get("rollout"),
        "state": "queued",
        "events": 1,
        "input_hash": bytes.fromhex(document["input"]),
        "request_hash": bytes.fromhex(document["request"]),
        "created_at": _moment(result["created_at"]),
        "deadline_at": _moment(result["deadline_at"]),
    }
    fields = Run._meta.concrete_fields
    row = [values[f.attname] if f.attname in values else f.get_default() for f in fields]
    return Run.from_db("default", [f.attname for f in fields], row)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None


def _earlier(order: Order, key: str | None) -> Run | None:
    """Return the run that a key named before.

    Raises:
        Invalid: the key is too long, or it named a run of another request.
    """
    if key is None:
        return None
    if not key or len(key) > MAX_KEY or "\x00" in key:
        raise Invalid(
            f"The idempotency key has {len(key)} characters; 1 to {MAX_KEY} are allowed, without NUL.",
            code="idempotency_key_invalid",
        )
    run = Run.objects.filter(
        workflow=order.workflow, environment_id=order.environment, idempotency_key=key
    ).first()
    if run is not None and not order.is_that_of(run):
        raise Invalid(
            f"This idempotency key started run {run.pk} with another request. Use a new key for a new request.",
            code="idempotency_key_reused",
        )
    return run


def _check_input(order: Order, plan: Plan) -> None:
    problems = [*schema.errors(plan.definition.input_schema or {}, order.input)]
    problems = problems or sealing.problems(order.input, plan.definition.secrets)
    if problems:
        raise Invalid(
            f"The input does not fit the input schema of workflow {order.workflow}.",
            code="input_invalid",
            errors=tuple(problems),
        )
    size = len(payloads.canonical(order.input))
    if size > MAX_INPUT_BYTES:
        raise Invalid(
            f"The input has {size:,} bytes; {MAX_INPUT_BYTES:,} are allowed. Put large data into a corpus.",
            code="input_too_large",
        )


def get(run_id: str) -> Run:
    """Return a run. Raises: UnknownObject."""
    run = Run.objects.select_related("release").filter(pk=run_id).first() if "\x00" not in run_id else None
    if run is None:
        raise UnknownObject(
            retained.gone(run_id) or f"There is no run {clean_text(run_id, limit=40)}.", code="unknown_run"
        )
    return run


def hold(run_id: str) -> Run:
    """Return a run that retention cannot take away until the transaction ends.

    Raises:
        UnknownObject: no such run.
        Conflict: its values are deleted.
    """
    database.fetch_all("SELECT 1 FROM workflows_run WHERE id = $1 FOR KEY SHARE", [run_id])
    run = get(run_id)
    retained.check_kept(run)
    return run


def wait(run_id: str, *, timeout_s: float) -> Run:
    """Return the run once it has ended, or as it is after `timeout_s`."""
    until = time.monotonic() + timeout_s
    pause = 0.02
    while True:
        ended = database.fetch_all("SELECT ended_at IS NOT NULL FROM workflows_run WHERE id = $1", [run_id])
        if not ended or ended[0][0] or time.monotonic() >= until:
            return get(run_id)
        time.sleep(min(pause, max(0.0, until - time.monotonic())))
        pause = min(pause * 1.3, 0.25)


def cancel(run_id: str, *, actor: Actor, reason: str = "", audited: bool = True) -> Run:
    """Stop a run for good. What has not started never does; running attempts are asked to stop.

    `audited=False`: the caller's own audit entry speaks for many runs.

    Raises:
        UnknownObject: no such run.
        Conflict: it has ended.
    """
    get(run_id)
    why = clean_text(reason, limit=1000)
    done = database.call("interlock_cancel_run", run_id, str(actor), why)
    ready = list(done["ready"]) if done else []
    run = get(run_id)
    if done and run.closing == "pending":  # its steps at the end may have to begin
        ready += execute.close(run_id, release=run.release_id, parent=None)
        run = get(run_id)
    if done is None and run.stopping != "cancelled":
        raise Conflict(
            f"Run {run_id} is {run.state}; only a run that goes on can be cancelled.", code="run_ended"
        )
    if audited:
        audit.record(actor, "run.cancel", "run", run_id, reason=why)
    transaction.on_commit(lambda: dispatch.ring(ready), robust=True)
    transaction.on_commit(lambda: hints.tell(run_id), robust=True)
    return run


def signal(run_id: str, name: str, payload: Json, *, actor: Actor) -> Run:
    """Send a signal to a run: a step that waits for it goes on, else it is kept until one does.

    Raises:
        UnknownObject: no such run.
        Conflict: its definition waits for no such signal, it has ended, or its secrets cannot be read.
        Invalid: the payload is too large.
    """
    run = get(run_id)
    names = signals_of(run)
    if name not in names:
        waits = ", ".join(names) or "no signal at all"
        raise Conflict(
            f"Workflow {run.workflow} waits for no signal {clean_text(name, limit=100)!r}; it waits for: {waits}.",
            code="unknown_signal",
        )
    batch = Batch()
    value = {"payload": sealing.of_run(run).scrub(payload)}
    if len(payloads.canonical(value)) > MAX_INPUT_BYTES:
        raise Invalid(
            f"The payload of the signal is larger than {MAX_INPUT_BYTES:,} bytes.", code="input_too_large"
        )
    done = database.call("interlock_signal", run_id, name, batch.add(value), str(actor), *batch.columns())
    if done["state"] is None:
        raise Conflict(
            f"Run {run_id} is {get(run_id).state}; it takes no signals any more.", code="run_ended"
        )
    dispatch.ring(done["ready"])
    transaction.on_commit(lambda: hints.tell(run_id), robust=True)
    return get(run_id)


def signals_of(run: Run) -> tuple[str, ...]:
    """Return the names of the signals that a run's definition waits for."""
    bodies = (node.step.body for node in bundle.load(run.release_id).plan.nodes.values())
    return tuple(
        sorted({body.signal for body in bodies if isinstance(body, WaitBody) and body.signal is not None})
    )


def pause(run_id: str, *, actor: Actor, reason: str = "") -> Run:
    """Hold a run: running attempts finish, nothing new starts until it is resumed.

    Raises:
        UnknownObject: no such run.
        Conflict: it does not go on.
    """
    get(run_id)
    why = clean_text(reason, limit=1000)
    if database.call("interlock_pause", run_id, str(actor), why) is None:
        run = get(run_id)
        state = f"{run.state}, and is being stopped" if run.stopping else run.state
        raise Conflict(
            f"Run {run_id} is {state}; only a run that goes on can be paused.", code="run_not_active"
        )
    audit.record(actor, "run.pause", "run", run_id, reason=why)
    transaction.on_commit(lambda: hints.tell(run_id), robust=True)
    return get(run_id)


def resume(run_id: str, *, actor: Actor, reason: str = "") -> Run:
    """Lead a paused run on.

    Raises:
        UnknownObject: no such run.
        Conflict: it is not paused.
    """
    run = get(run_id)
    why = clean_text(reason, limit=1000)
    ready = database.call("interlock_resume", run_id, str(actor), why)
    if ready is None:
        raise Conflict(
            f"Run {run_id} is {get(run_id).state}; only a paused run can be resumed.", code="run_not_paused"
        )
    ready += execute.close(run_id, release=run.release_id, parent=None)
    audit.record(actor, "run.resume", "run", run_id, reason=why)
    transaction.on_commit(lambda: dispatch.ring(ready), robust=True)
    transaction.on_commit(lambda: hints.tell(run_id), robust=True)
    return get(run_id)
