"""Where a rollout goes next, from where it stands, what its plan says and what was measured (pure).

May not: read a clock or a table, or change anything; `rollouts` and `tending` carry the moves out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from workflows.releases.judging import Judged
from workflows.spec.rollouts import Analysis, Plan, Step

BEFORE: Final = -1  # the first step
# Why a rollout is paused; how a person leads it on follows from it.
APPROVAL, GATE, OPERATOR = "approval", "gate", "operator"
FAILED, INCONCLUSIVE, SAMPLE_RATIO = "failed", "inconclusive", "sample_ratio"
DEADLINE, QUARANTINED = "deadline", "quarantined"
# At these a person says yes, which is another thing than going on.
ASKS: Final = frozenset({APPROVAL, GATE})
# After these the runs are counted anew: those before would end it again at once.
COUNTED_ANEW: Final = frozenset({FAILED, SAMPLE_RATIO})
WEIGHT_FULL: Final = 100.0
# Runs are compared from a little after a weight is set: those that were being started then got the one before it.
SETTLING: Final = timedelta(seconds=2)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a rollout stands. `due_at`: when the clock looks next; None: it waits for a person, or has ended."""

    state: str
    step: int
    step_at: datetime
    weight: float
    weight_at: datetime
    due_at: datetime | None
    looks: int = 0
    failures: int = 0
    paused_for: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was found at a moment. `problem`: the metrics could not be read. `hindrance`: why it may not go on now."""

    judged: Judged | None = None
    mismatch: str | None = None
    quarantined: str | None = None
    problem: str | None = None


def enter(plan: Plan, at: Standing, step: int, *, now: datetime) -> Standing:
    """Begin a step; behind the last one the candidate has taken over."""
    at = _given_back(plan, at, now=now)
    if step >= len(plan.steps):
        return taken_over(replace(at, step=len(plan.steps)), now=now)
    entered = replace(
        at, state="running", paused_for="", note="", step=step, step_at=now, looks=0, failures=0, due_at=now
    )
    begun = plan.steps[step]
    if begun.kind == "weight":
        return replace(entered, weight=begun.weight, weight_at=now + SETTLING)
    if begun.kind == "analysis":
        analysis = plan.analyses[begun.analysis]
        first = timedelta(seconds=analysis.initial_delay_s + analysis.interval_s)
        return replace(entered, due_at=now + first)
    if begun.pause_s is None:
        return paused(entered, GATE, "It waits until a person promotes it.")
    return replace(entered, due_at=now + timedelta(seconds=begun.pause_s))


def taken_over(at: Standing, *, now: datetime) -> Standing:
    """All new runs get the candidate."""
    return replace(
        at, state="succeeded", paused_for="", note="", weight=WEIGHT_FULL, due_at=None, step_at=now
    )


def paused(at: Standing, why: str, words: str) -> Standing:
    return replace(at, state="paused", paused_for=why, note=words, due_at=None)


def withdrawn(at: Standing, words: str) -> Standing:
    """No new run gets the candidate, which holds what is quarantined, until a person leads it on."""
    return replace(paused(at, QUARANTINED, words), weight=0.0)


def _given_back(plan: Plan, at: Standing, *, now: datetime) -> Standing:
    """Give a candidate that was withdrawn the weight that it had reached."""
    if at.paused_for != QUARANTINED:
        return at
    reached = [step.weight for step in plan.steps[: at.step + 1] if step.kind == "weight"]
    return replace(at, paused_for="", weight=reached[-1] if reached else 0.0, weight_at=now + SETTLING)


def gone(at: Standing, state: str, words: str) -> Standing:
    """End it without the candidate: no new run gets it."""
    return replace(at, state=state, paused_for="", note=words, weight=0.0, due_at=None)


def resumed(plan: Plan, at: Standing, *, now: datetime) -> Standing:
    """Begin the step anew that it was paused in; a paused step of a person's is none to come back to."""
    step = max(at.step, 0)
    anew = at.paused_for in COUNTED_ANEW or at.step < 0
    at = _given_back(plan, at, now=now)
    again = enter(plan, at, step, now=now)
    since = now + SETTLING if anew else at.weight_at
    return again if again.weight != at.weight else replace(again, weight_at=since)


def decide(plan: Plan, at: Standing, *, now: datetime, seen: Seen) -> Standing:
    """Return where a running rollout stands next; the same again where it has to wait."""
    if at.due_at is None or now < at.due_at:
        return at
    if seen.quarantined is not None:
        return withdrawn(at, seen.quarantined)
    if seen.mismatch is not None:
        return paused(at, SAMPLE_RATIO, seen.mismatch)
    step = plan.steps[at.step]
    if step.kind != "analysis":
        return enter(plan, at, at.step + 1, now=now)
    return _after_look(plan, at, step, now=now, seen=seen)


def _after_look(plan: Plan, at: Standing, step: Step, *, now: datetime, seen: Seen) -> Standing:
    analysis = plan.analyses[step.analysis]
    later = replace(at, due_at=now + timedelta(seconds=analysis.interval_s))
    if seen.judged is None:
        held = replace(later, note=f"It holds: {seen.problem}")
        return _in_time(plan, held, now=now)
    judged = seen.judged
    looked = replace(later, looks=at.looks + 1, note=judged.words)
    if judged.verdict == "fail":
        looked = replace(looked, failures=at.failures + 1)
        if looked.failures > analysis.failure_limit:
            return _failed(looked, analysis, judged.words)
    if looked.looks >= analysis.count:
        if judged.verdict == "pass":
            return enter(plan, looked, at.step + 1, now=now)
        if looked.looks >= analysis.count + analysis.inconclusive_limit:
            return _inconclusive(looked, analysis, judged.words)
    return _in_time(plan, looked, now=now)


def _failed(at: Standing, analysis: Analysis, words: str) -> Standing:
    if analysis.on_fail == "rollback":
        return gone(at, "rolled_back", words)
    return paused(at, FAILED, words)


def _inconclusive(at: Standing, analysis: Analysis, words: str) -> Standing:
    told = f"Nothing is settled after {at.looks} measurements. {words}"
    if analysis.inconclusive == "rollback":
        return gone(at, "rolled_back", told)
    return paused(at, INCONCLUSIVE, told)


def _in_time(plan: Plan, at: Standing, *, now: datetime) -> Standing:
    """Pause what makes no progress for too long."""
    limit_s = plan.progress_deadline_s
    if limit_s is None or now < at.step_at + timedelta(seconds=limit_s):
        return at
    return paused(at, DEADLINE, f"This step has taken longer than {limit_s:g} s. {at.note}")
