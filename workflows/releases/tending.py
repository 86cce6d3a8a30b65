"""Lead rollouts on when they are due: measure, decide, write. A duty of the engine's clock.

Whatever dies in between, and however many clocks there are: a move counts only where nobody has moved the rollout
since it was read, and what follows from it is written in the same transaction. May not: decide; `machine` does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import psycopg
import structlog

from workflows import database, quarantine, runs
from workflows.actor import SYSTEM
from workflows.duties import Duty
from workflows.errors import Conflict
from workflows.models import Quarantine, Rollout, Run
from workflows.models.rollouts import CANDIDATE
from workflows.releases import figures, judging, machine, moving, rollouts
from workflows.releases.machine import Seen
from workflows.spec import rollouts as spec
from workflows.spec.rollouts import Plan

log = structlog.get_logger()
BATCH: Final = 200
# A run that was given the candidate just before the end may be written a little after it.
STRAGGLERS_S: Final = 10
_DUE: Final = (
    "SELECT id FROM workflows_rollout WHERE state = 'running' AND due_at <= $1 ORDER BY due_at, id LIMIT 200"
)
_ANYTHING: Final = """
SELECT clock_timestamp() WHERE EXISTS (
    SELECT FROM workflows_rollout WHERE state = 'running' AND due_at <= clock_timestamp())
OR EXISTS (SELECT FROM workflows_rollout WHERE cancelling)
OR EXISTS (SELECT FROM workflows_rollout WHERE state IN ('running', 'paused') AND weight > 0
           AND EXISTS (SELECT FROM workflows_quarantine WHERE released_at IS NULL))
"""


def tend() -> None:
    """Lead on what is due by the clock of the database, in a thread of its own. A duty of the engine's clock."""
    if database.fetch_all(_ANYTHING, []):
        _DUTY.begin()


def _now() -> None:
    tick(database.fetch_all("SELECT clock_timestamp()", [])[0][0])


_DUTY: Final = Duty("rollouts", _now)


def tick(now: datetime) -> int:
    """Lead on what is due at a moment; return how many moved. May run twice, or at once."""
    moved = _withdraw(now)
    for (rollout_id,) in database.fetch_all(_DUE, [now]):
        moved += _attempt(rollout_id, now)
    for row in Rollout.objects.filter(cancelling=True).order_by("pk")[:BATCH]:
        _cancel(row, now)
    return moved


def _withdraw(now: datetime) -> int:
    """Take back what holds something quarantined, at once and in whichever step it stands."""
    moved = 0
    if not Quarantine.objects.filter(released_at=None).exists():
        return moved
    for row in rollouts.with_traffic()[:BATCH]:
        held_back = quarantine.held_back(row.to_release)
        if held_back is not None:
            after = machine.withdrawn(moving.standing(row), _held(row, held_back))
            moved += moving.write(row, after, moving.by_clock(row, after, None), now=now)
    return moved


def _held(row: Rollout, held_back: str) -> str:
    return f"Release {row.to_release.number} holds what is quarantined: {held_back}."


def _attempt(rollout_id: int, now: datetime) -> bool:
    try:
        return advance(rollouts.get(rollout_id), now=now)
    except database.AWAY:
        raise
    except Exception:  # the boundary of one rollout: it may not stop the others
        log.exception("rollout_failed_to_move", rollout=rollout_id)
        return False


def advance(row: Rollout, *, now: datetime) -> bool:
    """Measure and move one rollout as it was read; return whether it moved."""
    at, plan = moving.standing(row), spec.parse(row.plan)
    if row.state != "running" or at.due_at is None or now < at.due_at:
        return False
    seen = look(row, plan)
    after = machine.decide(plan, at, now=now, seen=seen)
    return moving.write(row, after, moving.by_clock(row, after, seen.judged), now=now)


def look(row: Rollout, plan: Plan) -> Seen:
    """Look at what the next move depends on; metrics that cannot be read hold the rollout."""
    held_back = quarantine.held_back(row.to_release)
    if held_back is not None:
        return Seen(quarantined=_held(row, held_back))
    try:
        mismatch = judging.mismatch(figures.keys(row), row.weight) if 0 < row.weight < 100 else None
        step = plan.steps[row.step]
        if step.kind != "analysis":
            return Seen(mismatch=mismatch)
        analysis = plan.analyses[step.analysis]
        judged = judging.judge(analysis, figures.read(row, analysis), tests=plan.tests)
        return Seen(mismatch=mismatch, judged=judged)
    except database.AWAY:
        raise
    except (psycopg.Error, ArithmeticError, ValueError) as error:
        log.exception("rollout_metrics_failed", rollout=row.pk)
        return Seen(problem=f"the metrics could not be read ({type(error).__name__}).")


def _cancel(row: Rollout, now: datetime) -> None:
    """Cancel the candidate's runs that go on, until none is left."""
    open_ = Run.objects.filter(rollout=row, arm=CANDIDATE, ended_at=None).exclude(stopping="cancelled")
    left = list(open_.order_by("created_at", "pk").values_list("pk", flat=True)[:BATCH])
    for run_id in left:
        try:
            runs.cancel(run_id, actor=SYSTEM, reason=f"Rollout {row.pk} was aborted.", audited=False)
        except Conflict:
            log.info("rollout_cancels_nothing", run_id=run_id)  # it ended meanwhile
        except database.AWAY:
            raise
        except Exception:  # the boundary of one run: it may not stop the others
            log.exception("rollout_cannot_cancel", run_id=run_id)
    ended_s = (now - row.ended_at).total_seconds() if row.ended_at else 0.0
    if not left and ended_s > STRAGGLERS_S:
        Rollout.objects.filter(pk=row.pk).update(cancelling=False)
