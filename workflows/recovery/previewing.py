"""What leading a run on would do, before anything of it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Literal

from workflows import payloads, runs
from workflows.engine import again, bundle
from workflows.errors import Conflict
from workflows.models import Run, StepRun
from workflows.recovery import planning
from workflows.recovery.planning import Ask, Course
from workflows.step_kinds import agent

Json = Any
Happens = Literal["kept", "again", "new"]
_CALLS: Final = ("tool", agent.CALL)
_MODELS: Final = ("prompt", agent.TURN)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A call of a tool that lies in what runs again.

    `happens`: `kept`: it is not sent, its recorded result counts · `again`: it is sent under the same idempotency key
    · `new`: it is sent as another effect, under a new key. `run`: the run whose step calls it: the run itself, or a
    child run that goes on with it.
    """

    run: str
    path: str
    tool: str
    effect: str
    happens: Happens


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """`again`: paths that run again; `kept`: how many stay; `cost_usd`: what the same steps cost before.

    `model_calls` and `cost_usd` count those of child runs that go on.
    """

    again: tuple[str, ...]
    kept: int
    model_calls: int
    cost_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class Preview(Estimate):
    """What a retry would do, with what becomes of each effect."""

    effects: tuple[Effect, ...]


def preview(
    run_id: str,
    *,
    from_step: str | None = None,
    release: int | None = None,
    repeat_effects: Sequence[str] = (),
) -> Preview:
    """Say what a retry would do. Raises: as `retry`, but for the run's state."""
    run = runs.get(run_id)
    ask = Ask(from_step=from_step, release=release, repeat_effects=tuple(repeat_effects))
    course = planning.course(run, _steps(run), ask)
    going = (_Going(run, course), *_below(run, course))
    own = estimate(going[0].running, kept=len(course.kept))
    whole = estimate([step for each in going for step in each.running], kept=own.kept)
    effects = tuple(effect for each in going for effect in _effects(each))
    return Preview(**vars(replace(whole, again=own.again)), effects=effects)


@dataclass(frozen=True)
class _Going:
    """A run that goes on, and how."""

    run: Run
    course: Course

    @property
    def running(self) -> list[StepRun]:
        """Its step runs that run again."""
        course = self.course
        led = [*(each.step for each in course.fresh), *(each.step for each in course.reopened)]
        return [*led, *course.gone]


def _steps(run: Run) -> list[StepRun]:
    return list(run.steps.filter(superseded=False).order_by("id"))


def _below(run: Run, course: Course) -> Iterator[_Going]:
    """Return the failed child runs that a run leads on, with theirs; where one cannot, its step starts a new one."""
    for each in course.reopened:
        child = planning.child_of(run, each, Run.objects.all())
        if child is None or child.state not in again.AGAIN:
            continue
        steps = _steps(child)
        led = planning.course(child, steps, Ask())
        try:
            planning.check_leads_on(child, steps, led)
        except Conflict:
            continue
        yield _Going(child, led)
        yield from _below(child, led)


def estimate(running: Sequence[StepRun], *, kept: int) -> Estimate:
    """Say what running some steps again amounts to, by what they were before."""
    return Estimate(
        again=tuple(step.path for step in sorted(running, key=lambda step: step.pk)),
        kept=kept,
        model_calls=sum(step.kind in _MODELS for step in running),
        cost_usd=sum((step.cost_usd for step in running if step.cost_usd is not None), Decimal(0)),
    )


def _effects(going: _Going) -> Iterator[Effect]:
    loaded, course = bundle.load(going.course.release), going.course
    called = [step for step in going.running if step.kind in _CALLS and step.input_hash is not None]
    inputs = payloads.kept(step.input_hash for step in called if step.input_hash is not None)
    for step in called:
        asked = inputs.get(bytes(step.input_hash or b"").hex())
        tool = loaded.tools.get(asked["tool"]) if asked else None
        if tool is not None:
            happens: Happens = "again"
            if tool.effect == "once" and step.state == "succeeded":
                happens = "new" if step.path in course.repeats else "kept"
            yield Effect(
                run=going.run.pk, path=step.path, tool=tool.name, effect=tool.effect, happens=happens
            )
