"""Continue a failed or cancelled run: from its failed steps, or again from a step; on its release or on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from django.db import transaction
from django.db.models import Case, F, When
from django.db.models.functions import Coalesce, Now

from workflows import audit, database, retained, runs
from workflows.actor import Actor
from workflows.engine import again, bundle, dispatch, execute, hints
from workflows.engine.again import Fresh, Reopened
from workflows.errors import Conflict
from workflows.models import JournalEvent, Run, StepRun
from workflows.payloads import clean_text
from workflows.recovery import planning
from workflows.recovery.planning import Ask, Course

Json = Any
NOTHING_ELSE: Final = Ask()


def retry(
    run_id: str,
    *,
    actor: Actor,
    reason: str = "",
    from_step: str | None = None,
    release: int | None = None,
    repeat_effects: Sequence[str] = (),
    audited: bool = True,
) -> Run:
    """Continue a failed or cancelled run; finished work is kept, that of its child runs too.

    `from_step`: the path of a step that runs again with all that needs it. `release`: the number of another release
    to go on with. `repeat_effects`: paths of steps whose `once` effect is to happen again.
    `audited=False`: the caller's own audit entry speaks for many runs.

    Raises:
        UnknownObject: no such run, step or release.
        Conflict: it is not failed or cancelled, nothing in it can be done again, its finished work does not fit the
            other release, or that holds something that is quarantined.
        Invalid: an effect is named that would not be repeated.
    """
    ask = Ask(from_step=from_step, release=release, repeat_effects=tuple(repeat_effects))
    lead_on(run_id, ask, actor=actor, reason=reason, audited=audited)
    return runs.get(run_id)


def lead_on(
    run_id: str,
    ask: Ask = NOTHING_ELSE,
    *,
    actor: Actor,
    reason: str,
    held: str | None = None,
    audited: bool = False,
) -> None:
    """Continue a run as asked. `held`: the path of a failed step that is left unknown, for a person to settle.

    Raises: as `retry`.
    """
    runs.get(run_id)
    why = clean_text(reason, limit=1000)
    with transaction.atomic():
        run = Run.objects.select_for_update().filter(pk=run_id).first() or runs.get(run_id)
        if run.state not in again.AGAIN:
            raise Conflict(
                f"Run {run_id} is {run.state}; only failed or cancelled runs can be retried. "
                "One that succeeded can be forked.",
                code="run_not_failed",
            )
        retained.check_kept(run)
        ready = _continue(run, ask, actor=actor, reason=why, held=held)
        if audited:
            audit.record(actor, "run.retry", "run", run_id, reason=why, data=ask.as_json())
        transaction.on_commit(lambda: dispatch.ring(ready), robust=True)
        transaction.on_commit(lambda: hints.tell(run_id), robust=True)


def _continue(run: Run, ask: Ask, *, actor: Actor, reason: str, held: str | None = None) -> list[int]:
    """Lead a run on; return the step runs that are ready, in it and in its child runs. Raises: Conflict."""
    steps = list(run.steps.filter(superseded=False).order_by("id").select_for_update())
    course = planning.course(run, steps, ask)
    planning.check_leads_on(run, steps, course)
    if held is not None:
        course = _holding(run, course, held)
    reopened, ready = _with_children(run, course.reopened, actor=actor, reason=reason)
    course = replace(course, reopened=reopened)
    _lead_on(run, course, actor=actor, reason=reason)
    admitted = database.call("interlock_take_place", run.pk)
    for each in course.reopened:
        _write(run, each, admitted=admitted)
    own = _renew(run, course, admitted=admitted)
    own += [each.step.pk for each in course.reopened if each.state == "ready" and admitted]
    if admitted and not own:  # it waits for a person, or for another run; or nothing of it was left to do
        own = execute.close(run.pk, release=run.release_id, parent=None)
    return ready + own


def _holding(run: Run, course: Course, path: str) -> Course:
    """Leave a failed step unknown instead of ready. Raises: Conflict where it would not run again itself."""
    found = [each for each in course.reopened if each.step.path == path and each.state == "ready"]
    if not found or found[0].settling:
        raise Conflict(
            f"Step {path} of run {run.pk} stopped nothing by its failure, or it failed with a step inside: "
            "resolve that one.",
            code="step_not_unknown",
        )
    others = [each for each in course.reopened if each.step.path != path]
    return replace(course, reopened=(*others, replace(found[0], state="unknown")))


def _with_children(
    run: Run, reopened: Sequence[Reopened], *, actor: Actor, reason: str
) -> tuple[tuple[Reopened, ...], list[int]]:
    """A step that had a child run goes on with it, whatever it has come to meanwhile, rather than start another.

    Returns how the steps go on, and the step runs that are ready in the child runs.
    """
    found: list[Reopened] = []
    ready: list[int] = []
    for each in reopened:
        # Held so that it cannot end unseen.
        child = planning.child_of(run, each, Run.objects.select_for_update())
        waiting = replace(each, state="waiting", reason="child", settling=True)
        if child is None:
            found.append(each)
        elif child.state == "succeeded":
            found.append(replace(each, settling=True))
        elif child.state not in again.AGAIN:
            found.append(waiting)
        elif (begun := _led_on(child, actor=actor, reason=reason)) is None:
            found.append(each)
        else:
            ready += begun
            found.append(waiting)
    return tuple(found), ready


def _led_on(child: Run, *, actor: Actor, reason: str) -> list[int] | None:
    """Lead a child run on; None: nothing in it can be done again, and its step starts a new one."""
    try:
        with transaction.atomic():
            begun = _continue(child, Ask(), actor=actor, reason=reason)
    except Conflict:
        return None
    transaction.on_commit(lambda: hints.tell(child.pk), robust=True)
    return begun


def _lead_on(run: Run, course: Course, *, actor: Actor, reason: str) -> None:
    """Set the run going again."""
    closing = "pending" if bundle.load(course.release).plan.last.steps else ""
    moved = Run.objects.filter(pk=run.pk, state__in=again.AGAIN).update(
        state="running",
        led_on_from=Case(When(led_on_from="", then=F("state")), default=F("led_on_from")),
        stopping="",
        closing=closing,
        error=None,
        error_group=None,
        output_hash=None,
        started_at=Coalesce("started_at", Now()),  # it may have been cancelled before it began
        ended_at=None,
        cost_usd=None,
        tokens=None,
        release_id=course.release,
        repeats={**(run.repeats or {}), **course.repeats} or None,
        events=F("events") + 1,
    )
    assert moved == 1, "the row is locked"
    data: dict[str, Json] = {
        "by": str(actor),
        "reason": reason,
        "steps": [each.step.path for each in course.reopened if each.state == "ready"],
    }
    if course.fresh or course.gone:
        data["from"] = course.from_step
        data["superseded"] = [step.path for step in (*course.gone, *(each.step for each in course.fresh))]
        data["again"] = [_told(each, course.epoch) for each in course.fresh]
    if course.added:
        data["added"] = [
            {"path": each.path, "epoch": course.epoch, "waiting_on": each.waiting_on} for each in course.added
        ]
    if course.release != run.release_id:
        data["release"] = course.release
    JournalEvent.objects.create(run_id=run.pk, type="run.retried", n=run.events + 1, data=data)
    run.release_id = course.release
    # What runs at the end runs anew, whatever came of it before.
    run.steps.filter(at_end=True, superseded=False).update(superseded=True)


def _told(each: Fresh, epoch: int) -> Mapping[str, Json]:
    told = {"path": each.step.path, "epoch": epoch, "state": each.state, "waiting_on": each.waiting_on}
    return told if each.input is None else {**told, "input": each.input}


def _write(run: Run, each: Reopened, *, admitted: bool) -> None:
    step = each.step
    state = "pending" if each.state == "ready" and not admitted else each.state
    StepRun.objects.filter(pk=step.pk, state=step.state).update(
        state=state,
        reason=each.reason,
        waiting_on=each.waiting_on,
        settling=each.settling,
        alone=False,
        failures=0,
        losses=0,
        error=step.error if each.failing else None,
        ended_at=None,
        wake_at=None,
        ready_at=Now() if state == "ready" else None,
        rung_at=None,
        rings=0,
        events=F("events") + 1,
    )
    data = {"state": state, "settles": each.settling or state == "waiting"}
    JournalEvent.objects.create(
        run_id=run.pk,
        type="step.reopened",
        step=step.path,
        epoch=step.epoch,
        n=step.events + 1,
        data={**data, "failing": True} if each.failing else data,
    )


def _renew(run: Run, course: Course, *, admitted: bool) -> list[int]:
    """Give what runs again a row in the new epoch, below what runs again around it; return those that are ready."""
    earlier = [*course.gone, *(each.step for each in course.fresh)]
    StepRun.objects.filter(pk__in=[step.pk for step in earlier]).update(superseded=True)
    parents: dict[int, StepRun] = {}
    made: list[StepRun] = []
    for each in course.fresh:  # containers come before what is inside
        row = _again(run, each, course.epoch, admitted=admitted)
        if each.step.parent_id is not None:
            row.parent = parents.get(each.step.parent_id, each.step.parent)
        row.save(force_insert=True)
        made.append(row)
        if each.state == "waiting":
            parents[each.step.pk] = row
            StepRun.objects.filter(parent_id=each.step.pk, superseded=False).update(parent=row)
    made += [_added(run, child, course, admitted=admitted) for child in course.added]
    return [row.pk for row in made if row.state == "ready"]


def _again(run: Run, each: Fresh, epoch: int, *, admitted: bool) -> StepRun:
    step = each.step
    state = "pending" if each.state == "ready" and not admitted else each.state
    given = step.input_hash if each.state == "waiting" else None
    return StepRun(
        run=run,
        path=step.path,
        step_id=step.step_id,
        kind=step.kind,
        epoch=epoch,
        ordinal=step.ordinal,
        item=step.item,
        item_hash=step.item_hash,
        lane=step.lane,
        state=state,
        reason="children" if each.state == "waiting" else "",
        waiting_on=each.waiting_on,
        priority=step.priority,
        ready_at=Now() if state == "ready" else None,
        input_hash=bytes.fromhex(each.input) if each.input else given,
        started_at=step.started_at if each.state == "waiting" else None,
    )


def _added(run: Run, child: planning.Added, course: Course, *, admitted: bool) -> StepRun:
    """A step that only the other release has."""
    state = "ready" if not child.waiting_on and admitted else "pending"
    return StepRun.objects.create(
        run=run,
        path=child.path,
        step_id=child.step_id,
        kind=child.kind,
        epoch=course.epoch,
        ordinal=child.ordinal,
        lane=f"{run.environment_id}/{run.workflow}",
        state=state,
        waiting_on=child.waiting_on,
        priority=run.priority,
        ready_at=Now() if state == "ready" else None,
    )
