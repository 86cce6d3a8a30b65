"""The step runs with which a fork begins: what is kept of the other run, what runs again, and what is not there yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models.functions import Now

from workflows import payloads, remembering, states
from workflows.engine import again, decide
from workflows.engine.again import Again, Fresh
from workflows.engine.outcomes import Child
from workflows.engine.plan import Plan
from workflows.models import Run, StepRun
from workflows.replay.rows import Row

Json = Any
_CHANGES = frozenset({"write", "append", "delete"})


def rows(plan: Plan, steps: Sequence[StepRun], reached: Again | None) -> list[Row]:
    """Return the rows, containers before what is inside. `reached` None: everything runs again."""
    if reached is None:
        return [_laid_out(child) for child in decide.children(plan, plan.top, prefix="")]
    rest = [step for step in steps if step.path not in reached.paths() and step.step_id in plan.nodes]
    reopened = again.reopen(plan, rest, opened=reached.open_paths())
    going_on = {each.step.path: each for each in reopened}
    found = [_fresh(each) for each in reached.fresh]
    for step in rest:
        each = going_on.get(step.path)
        if each is not None:
            state = "waiting" if each.settling else each.state
            found.append(_fresh(Fresh(step=step, state=state, waiting_on=each.waiting_on)))
        else:
            found.append(_kept(step))
    there = {row.path for row in found}
    found += [
        _laid_out(child) for child in decide.children(plan, plan.top, prefix="") if child.path not in there
    ]
    return sorted(found, key=lambda row: (row.path.count("/"), row.ordinal))


def _laid_out(child: Child) -> Row:
    return Row(
        path=child.path,
        step_id=child.step_id,
        kind=child.kind,
        epoch=1,
        ordinal=child.ordinal,
        waiting_on=child.waiting_on,
        state="pending" if child.waiting_on else "ready",
    )


def _fresh(each: Fresh) -> Row:
    waits = each.state == "waiting"
    row = _of(each.step)
    row.state, row.waiting_on, row.settles = each.state, each.waiting_on, waits
    row.input = (each.input or payloads.name_of(each.step.input_hash)) if waits else None
    return row


def _kept(step: StepRun) -> Row:
    row = _of(step)
    row.state, row.error = step.state, step.error
    row.input, row.output = payloads.name_of(step.input_hash), payloads.name_of(step.output_hash)
    return row


def _of(step: StepRun) -> Row:
    """Return the row of a step run in the fork's first epoch, as if nothing had come of it."""
    return Row(
        path=step.path,
        step_id=step.step_id,
        kind=step.kind,
        epoch=1,
        ordinal=step.ordinal,
        item=step.item,
        frame=payloads.name_of(step.item_hash),
    )


def write(run: str, lane: str, found: Sequence[Row], *, priority: int) -> dict[str, StepRun]:
    """Write the rows; return them by path. Those of a level are written at once, below the one before."""
    payloads.touch(
        bytes.fromhex(key) for row in found for key in (row.input, row.output, row.frame) if key is not None
    )
    made: dict[str, StepRun] = {}
    for depth in sorted({row.path.count("/") for row in found}):
        level = [row for row in found if row.path.count("/") == depth]
        created = StepRun.objects.bulk_create([_row(run, lane, row, made, priority) for row in level])
        made |= {step.path: step for step in created}
    return made


def _row(run: str, lane: str, row: Row, made: Mapping[str, StepRun], priority: int) -> StepRun:
    done = row.state in states.STEP_ENDED
    return StepRun(
        run_id=run,
        path=row.path,
        step_id=row.step_id,
        kind=row.kind,
        ordinal=row.ordinal,
        parent=parent(row.path, made),
        item=row.item,
        item_hash=None if row.frame is None else bytes.fromhex(row.frame),
        lane=lane,
        state=row.state,
        reason="children" if row.state == "waiting" else "",
        waiting_on=row.waiting_on,
        priority=priority,
        ready_at=Now() if row.state == "ready" else None,
        input_hash=None if row.input is None else bytes.fromhex(row.input),
        output_hash=None if row.output is None else bytes.fromhex(row.output),
        error=row.error,
        started_at=Now() if done or row.state == "waiting" else None,
        ended_at=Now() if done else None,
    )


def parent(path: str, made: Mapping[str, StepRun]) -> StepRun | None:
    """Return the container right around a path. The calls of an agent lie beside its turns: the agent is theirs."""
    around = path.rpartition("/")[0]
    while around:
        name = around.rpartition("/")
        holder = f"{name[0]}{name[1]}{name[2].partition('[')[0]}"
        if holder in made:
            return made[holder]
        around = name[0]
    return None


def carry_memory(parent: Run, id: str, steps: Sequence[StepRun], reached: Again | None) -> None:
    """What kept steps wrote, the fork sees as its own writing."""
    if reached is None:
        return
    kept = [step for step in steps if step.path not in reached.paths()]
    for place, value, step in _written(parent, kept):
        by = remembering.Writer(actor=f"run {id}", run=id, path=step.path, epoch=1)
        overlay = remembering.Place(
            environment=place.environment, scope=f"fork:{id}:{place.scope}", key=place.key
        )
        remembering.change(overlay, "write", value, by=by, expected=None)


def _written(parent: Run, kept: Sequence[StepRun]) -> Iterator[tuple[remembering.Place, Json, StepRun]]:
    wrote = [step for step in kept if step.kind == "memory" and step.state == "succeeded" and step.input_hash]
    for step in sorted(wrote, key=lambda step: (step.ended_at is not None, step.ended_at)):
        asked = payloads.load_one(step.input_hash)
        if asked["operation"] in _CHANGES:
            scope = remembering.scope_of(asked["scope"], workflow=parent.workflow, session=parent.session)
            assert scope is not None, "it was written in one"
            place = remembering.Place(environment=parent.environment_id, scope=scope, key=asked["key"])
            yield place, payloads.load_one(step.output_hash)["value"], step
