"""What becomes of each step run when a run is led on: the course, decided before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import QuerySet

from workflows import quarantine, states
from workflows.engine import again, bundle
from workflows.engine.again import Again, Fresh, Reopened
from workflows.engine.plan import Plan
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.models import Release, Run, StepRun
from workflows.payloads import clean_text
from workflows.recovery import fitting

Json = Any
_DONE = ("succeeded", "skipped")


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a person wants of a run that ended badly."""

    from_step: str | None = None
    release: int | None = None
    repeat_effects: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Json]:
        """Return what was said, for the audit log."""
        return {key: value for key, value in asdict(self).items() if value}


@dataclass(frozen=True, kw_only=True)
class Added:
    """A step that only the other release has."""

    path: str
    step_id: str
    kind: str
    ordinal: int
    waiting_on: int


@dataclass(frozen=True, kw_only=True)
class Course:
    """`reopened` go on as they are; `fresh` run again in the new `epoch`; `gone` are laid out anew, or not any more."""

    release: int  # its row
    epoch: int
    from_step: str | None
    reopened: tuple[Reopened, ...]
    fresh: tuple[Fresh, ...]
    gone: tuple[StepRun, ...]
    added: tuple[Added, ...]
    kept: tuple[StepRun, ...]
    repeats: dict[str, int]
    is_empty: bool


def course(run: Run, steps: Sequence[StepRun], ask: Ask) -> Course:
    """Decide what becomes of the current step runs of an ended run.

    Raises:
        UnknownObject: no such step or release.
        Conflict: the step never ran, finished work does not fit the other release, or that holds something that is
            quarantined.
        Invalid: an effect is named that would not be repeated.
    """
    release = release_row(run, ask.release)
    old, new = bundle.load(run.release_id), bundle.load(release)
    body = [step for step in steps if not step.at_end]
    moved = release != run.release_id
    lost = [step for step in body if step.step_id not in new.plan.nodes and step.state not in _DONE]
    there = [step for step in body if step not in lost]
    reached = _from_step(new.plan, there, ask.from_step) if ask.from_step else Again(fresh=(), gone=())
    fresh, reopened = _going_on(new.plan, there, reached, moved=moved)
    running = [*(each.step for each in fresh), *(each.step for each in reopened)]
    kept = _kept(body, [*running, *reached.gone, *lost])
    if moved:
        fitting.check_input(run.input_hash, old, new, what=f"Run {run.pk}")
        fitting.check(old, new, kept, fresh, what=f"Run {run.pk}")
    epoch = max((step.epoch for step in run.steps.all()), default=0) + 1
    added = tuple(_added(new.plan, body, frozenset(step.path for step in running))) if moved else ()
    last = any(step.at_end and step.state in again.AGAIN for step in steps)
    return Course(
        release=release,
        epoch=epoch,
        from_step=ask.from_step,
        reopened=tuple(reopened),
        fresh=tuple(fresh),
        gone=(*reached.gone, *lost),
        added=added,
        kept=kept,
        repeats=_repeats(ask, [*(each.step for each in fresh), *reached.gone], epoch),
        is_empty=not (fresh or reopened or added or moved or last),
    )


def check_leads_on(run: Run, steps: Sequence[StepRun], course: Course) -> None:
    """Raise Conflict where nothing in a failed run can be done again."""
    if course.is_empty and run.state == "failed" and all(step.state in states.STEP_ENDED for step in steps):
        raise Conflict(
            f"Run {run.pk} has no failed step: what failed is its output expression. "
            "Deploy a corrected workflow and retry it on that release, or start a new run.",
            code="nothing_to_retry",
        )


def child_of(run: Run, each: Reopened, among: QuerySet[Run]) -> Run | None:
    """Return the newest child run of a step that goes on; None: it has none, or goes on without it."""
    if each.state != "ready" or each.settling:
        return None
    children = among.filter(parent_id=run.pk, parent_path=each.step.path)
    return children.order_by("-created_at", "-pk").first()


def _going_on(
    plan: Plan, steps: Sequence[StepRun], reached: Again, *, moved: bool
) -> tuple[list[Fresh], list[Reopened]]:
    """Return what gets a new epoch, and what goes on as it is; on another release nothing does."""
    rest = [step for step in steps if step.path not in reached.paths()]
    reopened = again.reopen(plan, rest, opened=reached.open_paths())
    if moved:  # another definition is another step run, though nothing of it was finished
        return again.outermost_first([*reached.fresh, *map(_renewed, reopened)]), []
    return list(reached.fresh), reopened


def _kept(body: Sequence[StepRun], others: Sequence[StepRun]) -> tuple[StepRun, ...]:
    others_pk = {step.pk for step in others}
    return tuple(step for step in body if step.pk not in others_pk)


def release_row(run: Run, number: int | None) -> int:
    """Return the row of the release on which a run, or its fork, goes on; None: that of the run.

    On its own release it may go on whatever was quarantined since: it has run on it already, is marked as tainted, and
    would else have to stay unfinished. "Run again without it" is the way to a clean one.

    Raises:
        UnknownObject: the workflow has no such release.
        Conflict: it is another one than that of the run, and holds something that is quarantined.
    """
    if number is None:
        return run.release_id
    found = Release.objects.filter(workflow=run.workflow, number=number).first()
    if found is None:
        raise UnknownObject(f"Workflow {run.workflow} has no release {number}.", code="unknown_release")
    if found.pk != run.release_id:
        quarantine.check_clean(
            found,
            refused=f"Run {run.pk} does not go on with release {number} of {run.workflow}",
            instead="Choose a release without it, or release the quarantine.",
        )
    return int(found.pk)


def _from_step(plan: Plan, steps: Sequence[StepRun], path: str) -> Again:
    ran(steps, path)
    return again.from_step(plan, steps, path)


def ran(steps: Sequence[StepRun], path: str) -> StepRun:
    """Return a step run that has run. Raises: UnknownObject, Conflict."""
    step = next((each for each in steps if each.path == path), None)
    if step is None:
        raise UnknownObject(
            f"The run has no step {clean_text(path, limit=200)} that could run again.", code="unknown_step"
        )
    if step.started_at is None:
        raise Conflict(f"Step {path} never ran: it runs when the run is led on to it.", code="step_never_ran")
    return step


def _renewed(each: Reopened) -> Fresh:
    # One whose insides had ended takes them in: the clock sees that nothing in it is open.
    state = "waiting" if each.settling else each.state
    return Fresh(step=each.step, state=state, waiting_on=each.waiting_on)


def _added(plan: Plan, steps: Sequence[StepRun], open_paths: frozenset[str]) -> Iterator[Added]:
    """Return the steps of the top that only the other release has."""
    there = {step.path for step in steps}
    new = [step_id for step_id in plan.top.steps if step_id not in there]
    for step_id in new:
        node = plan.nodes[step_id]
        left = sum(need in open_paths or need in new for need in node.step.needs)
        yield Added(path=step_id, step_id=step_id, kind=node.step.kind, ordinal=node.ordinal, waiting_on=left)


def _repeats(ask: Ask, running: Sequence[StepRun], epoch: int) -> dict[str, int]:
    """Return which effects may happen again, and in which epoch."""
    again_paths = {step.path for step in running}
    for path in ask.repeat_effects:
        if path not in again_paths:
            raise Invalid(
                f"`repeat_effects` names {clean_text(path, limit=200)}, which does not run again. Name a step "
                "that `from_step` reaches.",
                code="effect_not_repeated",
            )
    return dict.fromkeys(ask.repeat_effects, epoch)
