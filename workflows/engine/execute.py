"""The worker's loop: claim, perform, commit, go on with what became ready; and what follows a commit.

`work` is what a doorbell starts. Everything it needs to know is in the database; a worker can die at any line.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from django.conf import settings

from workflows import database
from workflows.engine import attempt, bundle, changes, commit, decide, dispatch, faults, hints, views
from workflows.engine.attempt import Attempt
from workflows.engine.commit import Claim, Committed
from workflows.engine.leases import Active, Process, process
from workflows.engine.live import LivePort
from workflows.engine.outcomes import LeaseLost, Stopped
from workflows.engine.sealed import SealedLive, SealedStubbed
from workflows.engine.stubbed import StubbedPort
from workflows.engine.views import Known, Stored
from workflows.payloads import Batch
from workflows.spec import templates
from workflows.spec.masks import NOTHING, acting_with

log = structlog.get_logger()
# A lease is renewed this much longer than an attempt may take; after that a hung thread loses it.
GRACE_S: Final = 30.0
# Whether it is a fork, whether its root was given secrets → the port.
_WAYS_OUT: Final[Mapping[tuple[bool, bool], type[LivePort]]] = {
    (False, False): LivePort,
    (True, False): StubbedPort,
    (False, True): SealedLive,
    (True, True): SealedStubbed,
}


def work(here: Process = process) -> int:
    """Work on ready rows until there is none or the slice is used up. Returns how many attempts were made."""
    try:
        return _work(here)
    finally:
        here.stand_down()


def _work(here: Process) -> int:
    slice_ends = time.monotonic() + settings.SLICE_S
    known = Known()
    made = 0
    claim: Claim | None = None
    while claim is not None or here.takes_more():
        try:
            claim = claim or _claim(here)
            if claim is None:
                break
            made += 1
            claim = _advance(claim, here, known, go_on=lambda: _goes_on(here, slice_ends))
        except LeaseLost:
            claim = None
        except commit.OtherVersion as other:
            _give_way(here, other)
            break
        except database.AWAY as error:
            log.warning("database_away", error=str(error)[:200])
            break
        if claim is None and time.monotonic() > slice_ends:
            dispatch.ring([0])  # give way to others, but come back
            break
    return made


def _give_way(here: Process, other: commit.OtherVersion) -> None:
    """Leave the work to workers of the database's version: hand back what came, at once, and take no more."""
    log.error("worker_is_of_another_version", worker=here.id, error=str(other))
    here.retire()
    given = database.call("interlock_hand_back", [other.lease])
    dispatch.ring([step["step"] for step in given])


def _goes_on(here: Process, slice_ends: float) -> bool:
    return here.takes_more() and time.monotonic() < slice_ends


def _claim(here: Process) -> Claim | None:
    faults.point("before_claim")
    with here.claiming() as idle:
        if not here.takes_more():
            return None  # a step that must run alone has come meanwhile
        claimed = commit.claim(worker=here.id, lease_s=settings.LEASE_S, idle=idle, after=here.served_last)
        if claimed is not None:
            here.took(claimed)
    if claimed is not None:
        here.served_last = claimed.lane
        hints.tell(claimed.run)
    return claimed


def _advance(claim: Claim, here: Process, known: Known, *, go_on: Callable[[], bool]) -> Claim | None:
    """Perform one attempt, commit it, and return the claim that came with the commit."""
    faults.point("after_claim", detail=claim.step_id)
    try:
        committed = _performed(claim, here, known, go_on=go_on)
    finally:
        if claim.sealed:
            acting_with.set(NOTHING)
    faults.point("after_commit", detail=claim.step_id)
    if not committed.applied:
        log.warning("late_result", run_id=claim.run, step=claim.path, attempt=claim.number)
        return None
    follow(claim, committed)
    return committed.next


def _performed(claim: Claim, here: Process, known: Known, *, go_on: Callable[[], bool]) -> Committed:
    with here.running(claim, limit_s=_time_s(claim) + GRACE_S) as active:
        trying = begin(active, known)
        outcome = attempt.perform(trying)
        if active.lost and isinstance(outcome, Stopped):
            raise LeaseLost  # nothing came of it; whatever else came is recorded, as late
        faults.point("after_act", detail=claim.step_id)
        return commit.apply(
            claim,
            changes.of(trying, outcome, trying.port.spent()),
            worker=here.id,
            lease_s=settings.LEASE_S,
            go_on=go_on() and not claim.alone,
            next_lease=uuid.uuid4(),
        )


def _time_s(claim: Claim) -> float:
    loaded = bundle.load(claim.release)
    return attempt.time_s(claim, loaded, loaded.plan.nodes[claim.step_id])


def begin(active: Active, known: Known) -> Attempt:
    """Return a claimed attempt, ready to be performed for real."""
    claim = active.claim
    loaded = bundle.load(claim.release)
    node = loaded.plan.nodes[claim.step_id]
    way_out = _WAYS_OUT[claim.fork is not None, claim.sealed]
    port = way_out(claim, active, time_s=attempt.time_s(claim, loaded, node))
    return Attempt(claim, loaded, node, port, Stored(claim.run, known))


def follow(claim: Claim, committed: Committed) -> None:
    """What comes after a commit: close finished scopes, ring for what is ready, tell the watchers."""
    ready = list(committed.ready)
    if not committed.ended and not _goes_on_in(claim.run, committed):
        ready += close(
            claim.run, release=claim.release, parent=claim.parent, item=claim.item, step_id=claim.step_id
        )
    hints.tell(claim.run)
    dispatch.ring(ready)


def _goes_on_in(run: str, committed: Committed) -> bool:
    """Say whether the commit itself led this run on: then nothing of it can be left to close."""
    if committed.next is not None and committed.next.run == run:
        return True
    return bool(committed.next or committed.ready) and not committed.parked


def close(
    run: str, *, release: int, parent: int | None, item: int | None = None, step_id: str | None = None
) -> list[int]:
    """Close what has no unfinished part left, and end the run if that was all.

    `step_id`: whose end is the occasion; where nobody knows, the next item of a map is looked for. Returns the step
    runs that became ready.
    """
    plan = bundle.load(release).plan
    gate = decide.gate(plan, plan.nodes[step_id].scope) if step_id else None
    closed = commit.close(run, parent=parent, item=item, gate=gate)
    ready = list(closed["ready"])
    if closed["finish"]:
        ready += finish(run, release=release)
    if closed["closing"]:
        ready += commit.begin_closing(run, decide.children(plan, plan.last, prefix=""))
    hints.tell(run)
    return ready


def finish(run: str, *, release: int) -> list[int]:
    """Compute the output of a run whose steps are all done, and end it. Returns what became ready in other runs."""
    plan, batch = bundle.load(release).plan, Batch()
    try:
        output = batch.add(
            templates.render(
                plan.definition.output, views.scope_at_end(views.run_by_id(run), plan, Stored(run, Known()))
            )
        )
        ready = commit.finish(run, output=output, error=None, batch=batch)
    except templates.TemplateError as problem:
        ready = commit.finish(run, output=None, error=changes.output_error(problem), batch=Batch())
    return ready or []
