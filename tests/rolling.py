"""Roll releases out inside a test: a workflow in two releases, runs of both, a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import yaml

from tests import engine
from workflows import database
from workflows.actor import Actor
from workflows.models import Environment, Release, Rollout, Run
from workflows.releases import rollouts, tending

ANNA: Final = Actor(kind="user", name="anna")
BEN: Final = Actor(kind="user", name="ben")
# What a run gives tells which release it had.
ECHO: Final = """
name: echo
input: {type: object, properties: {who: {type: string}}}
session: "{{ input.who }}"
steps: [{id: note, set: {release: %d}}]
output: "{{ steps.note.output.release }}"
"""
STEPS: Final[Sequence[Any]] = (
    {"weight": 20},
    {"analysis": "errors"},
    {"weight": 50},
    {"pause": {}},
    {"weight": 100},
)
ERRORS: Final = {
    "interval": "60s",
    "count": 2,
    "minimum_runs": 20,
    "metrics": [{"name": "failure_rate", "max_increase": 0.05}],
}
PLACE: Final = {"workflow": "echo", "environment": "production"}


def releases(count: int = 2) -> list[Release]:
    """Make releases of `echo`; the first is deployed."""
    for number in range(1, count + 1):
        engine.apply("kind: Workflow" + ECHO % number)
    return list(Release.objects.filter(workflow="echo").order_by("number"))


def environment(
    *, steps: Sequence[Any] = STEPS, protected: bool = False, errors: Any = None, **rollout: Any
) -> None:
    """Give production the steps of a rollout, and as much protection; no document takes any away."""
    Environment.objects.filter(name="production").update(protected=protected)
    body = {
        "kind": "Environment",
        "name": "production",
        "protected": protected,
        "rollout": {"steps": list(steps), "analyses": {"errors": {**ERRORS, **(errors or {})}}, **rollout},
    }
    engine.apply(yaml.safe_dump(body, sort_keys=False))


def deploy(release: int = 2, *, now: datetime, actor: Actor = ANNA, **changes: Any) -> Rollout:
    ask = rollouts.Ask(**{**PLACE, "release": release, "strategy": "rollout", "reason": "better", **changes})
    made = rollouts.deploy(ask, actor=actor, now=now)
    assert made is not None
    return made


def now() -> datetime:
    moment: datetime = database.fetch_all("SELECT clock_timestamp()", [])[0][0]
    return moment


def after(seconds: float) -> datetime:
    return now() + timedelta(seconds=seconds)


def until_still(moment: datetime) -> None:
    """Let the clock look at one moment until nothing moves."""
    while tending.tick(moment):
        pass


def shown(row: Rollout) -> tuple[str, int, float]:
    row.refresh_from_db()
    return row.state, row.step, row.weight


def ended_runs(row: Rollout, arm: str, count: int, *, failed: int = 0, **values: Any) -> None:
    """Write down runs of a rollout that have ended, as the engine writes them."""
    release = row.to_release if arm == "candidate" else row.from_release
    assert release is not None
    moment = max(now(), row.weight_at)  # those that began before its weight was settled are not compared
    share = row.weight / 100
    for number in range(count):
        place = number / count * share if arm == "candidate" else share + number / count * (1 - share)
        Run.objects.create(
            id=f"r_{arm[0]}{row.pk}_{Run.objects.count():08d}",
            workflow=row.workflow,
            environment_id=row.environment_id,
            release=release,
            state="failed" if number < failed else "succeeded",
            trigger="api",
            created_by="test",
            input_hash=b"x",
            rollout=row,
            arm=arm,
            sticky_hash=int(place * 2**63) + number,
            created_at=moment,
            started_at=moment,
            ended_at=moment + timedelta(seconds=1),
            **values,
        )
