"""How a rollout's moves are written: its row, the deployment, the measurement, the audit log, the webhooks, together.

People's moves (`rollouts`) and the clock's (`tending`) both go through `write`, which counts only if nobody has moved
the rollout since it was read. May not: decide where it goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from workflows import announcing, audit, states
from workflows.actor import SYSTEM, Actor
from workflows.errors import Conflict
from workflows.models import Deployment, Measurement, Rollout
from workflows.models.rollouts import ROLLOUT_ACTIVE
from workflows.releases import judging
from workflows.releases.judging import Judged
from workflows.releases.machine import Standing


@dataclass(frozen=True, kw_only=True)
class Move:
    """Who moved a rollout, how it is called in the audit log, and what was measured just before."""

    action: str
    actor: Actor
    reason: str = ""
    judged: Judged | None = None


def standing(row: Rollout) -> Standing:
    """Return where a rollout stands."""
    return Standing(
        state=row.state,
        step=row.step,
        step_at=row.step_at,
        weight=row.weight,
        weight_at=row.weight_at,
        due_at=row.due_at,
        looks=row.looks,
        failures=row.failures,
        paused_for=row.paused_for,
        note=row.note,
    )


def write(row: Rollout, after: Standing, move: Move, *, now: datetime, cancelling: bool = False) -> bool:
    """Move a rollout from where it was read to stand, unless somebody has moved it since; return whether it moved.

    All that follows is in the same transaction: the deployment, the measurement, the audit log, the webhooks.
    """
    if after.state != row.state and not states.may(states.ROLLOUT, source=row.state, target=after.state):
        raise Conflict(
            f"Rollout {row.pk} is {row.state} and cannot become {after.state}.", code="rollout_state"
        )
    ended = after.state not in ROLLOUT_ACTIVE
    written = {**columns(after), **_measured(move.judged, now), "moves": F("moves") + 1}
    if ended:
        written |= {"ended_at": now, "cancelling": cancelling}
    with transaction.atomic():
        locked(row.workflow, row.environment_id)  # before the rollout's own row, as everybody does
        unmoved = Rollout.objects.filter(pk=row.pk, moves=row.moves, state=row.state)
        if not unmoved.update(**written):
            return False
        if move.judged is not None:
            _keep(row, move.judged, now)
        if after.state == "succeeded":
            _take_over(row, move.actor, now)
        if told := _events(row, after):
            row.refresh_from_db()
            tell(row, move, told)
    return True


def columns(at: Standing) -> dict[str, Any]:
    return dict(at.__dict__)


def _measured(judged: Judged | None, now: datetime) -> dict[str, Any]:
    if judged is None:
        return {}
    return {"verdict": judged.verdict, "metrics": judging.as_json(judged.results), "measured_at": now}


def _keep(row: Rollout, judged: Judged, now: datetime) -> None:
    Measurement.objects.create(
        rollout=row,
        move=row.moves,
        step=row.step,
        at=now,
        verdict=judged.verdict,
        metrics=judging.as_json(judged.results),
    )


def _take_over(row: Rollout, actor: Actor, now: datetime) -> None:
    Deployment.objects.update_or_create(
        workflow=row.workflow,
        environment_id=row.environment_id,
        defaults={"stable": row.to_release, "deployed_at": now, "deployed_by": str(actor)},
    )


def _events(row: Rollout, after: Standing) -> list[str]:
    """Return what others are told of: nothing where it only goes on as it did."""
    told = []
    if after.state in ROLLOUT_ACTIVE and after.step != row.step:
        told.append("promoted")
    if after.state == "running" and row.state == "paused" and not told:
        told.append("resumed")
    withdrawn = after.weight < row.weight
    if after.state != "running" and (after.state != row.state or told or withdrawn):
        told.append(after.state)
    return told


def tell(row: Rollout, move: Move, events: list[str]) -> None:
    data = {
        "state": row.state,
        "step": row.step,
        "weight": row.weight,
        "from": row.from_release.number if row.from_release else None,
        "to": row.to_release.number,
        "note": row.note,
        "move": row.moves,
    }
    audit.record(move.actor, move.action, "rollout", str(row.pk), reason=move.reason, data=data)
    place = {"id": row.pk, "workflow": row.workflow, "environment": row.environment_id}
    for event in events:
        announcing.announce(f"rollout.{event}", str(row.pk), {"rollout": {**place, **data}})


def locked(workflow: str, environment: str) -> Deployment | None:
    """Lock the row of a deployment, the one order in which everybody takes locks; None where nothing is deployed."""
    rows = Deployment.objects.select_for_update(no_key=True).select_related(None)
    return rows.filter(workflow=workflow, environment_id=environment).first()


def by_clock(row: Rollout, after: Standing, judged: Judged | None) -> Move:
    """Return what the clock's move is called."""
    action = {
        "paused": "rollout.pause",
        "rolled_back": "rollout.roll_back",
        "succeeded": "rollout.succeed",
    }.get(after.state, "rollout.step")
    return Move(action=action, actor=SYSTEM, reason=after.note, judged=judged)
