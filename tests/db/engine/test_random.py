"""Whatever the definition and whatever happens to its run: the same output, one replay, one rebuilt state.

`RANDOM_EXAMPLES=500 pytest tests/db/engine/test_random.py` looks longer.
"""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import replaying
from tests.db.engine.random_definitions import CHILD, workflows
from tests.engine import OPERATOR, deploy, drain, expire, output, run, start, wake
from workflows import database, recovery, runs
from workflows.engine import attempt, bundle, changes, commit, execute
from workflows.engine.leases import Process
from workflows.engine.views import Known
from workflows.models import Run
from workflows.replay import forking

_LOOKED_AT = settings(
    max_examples=int(os.environ.get("RANDOM_EXAMPLES", "8")),
    derandomize="RANDOM_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


def settle(of: Run) -> Run:
    """Let all timers come, and all that follows."""
    for _ in range(50):
        wake()
        if not drain():
            break
    of.refresh_from_db()
    return of


def undisturbed(definition: dict[str, Any]) -> Run:
    deploy(CHILD)
    return settle(run(deploy(json.dumps(definition))))


def disturbed(of: Run, chance: random.Random) -> None:
    """Work on the run as workers do that die, are shut down, come late, and take turns in any order."""
    here = Process()
    for _ in range(400):
        taken = commit.claim(worker="test", lease_s=30, idle=True)
        if taken is None:
            wake()
            taken = commit.claim(worker="test", lease_s=30, idle=True)
        if taken is None:
            break
        fate = chance.random()
        if fate < 0.1 and not taken.losses:
            expire()
        elif fate < 0.2:
            database.call("interlock_hand_back", [taken.lease])
        elif fate < 0.25 and not taken.losses:
            late(taken, here)
        else:
            going: commit.Claim | None = taken
            while going is not None:
                going = execute._advance(going, here, Known(), go_on=lambda: chance.random() < 0.5)
    settle(of)


def late(taken: commit.Claim, here: Process) -> None:
    """A worker comes with its result after its lease has gone: it counts for nothing."""
    with here.running(taken, limit_s=60) as active:
        trying = execute.begin(active, Known())
        outcome = attempt.perform(trying)
        expire()
        change = changes.of(trying, outcome, trying.port.spent())
        done = commit.apply(taken, change, worker="test", lease_s=30, go_on=False, next_lease=taken.lease)
    assert not done.applied


@pytest.mark.timeout(900)
def test_of_a_random_definition(transactional_db: None) -> None:
    @_LOOKED_AT
    @given(workflows(), st.integers(0, 2**32))
    def look(definition: dict[str, Any], seed: int) -> None:
        chance = random.Random(seed)
        bundle.forget_providers()
        calm = undisturbed(definition)
        shaken = start("random")
        disturbed(shaken, chance)
        assert (shaken.state, output(shaken), shaken.error) == (calm.state, output(calm), calm.error)
        stopped = start("random")
        for _ in range(chance.randrange(6)):
            execute.work()
        if stopped.state != "succeeded" and Run.objects.get(pk=stopped.pk).ended_at is None:
            runs.cancel(stopped.pk, actor=OPERATOR)
            settle(stopped)
            recovery.retry(stopped.pk, actor=OPERATOR)
        assert output(settle(stopped)) == output(calm)
        again(calm, chance)
        assert not (wrong := replaying.differences(Run.objects.all())), "\n".join(wrong)
        forget()

    look()


def forget() -> None:
    """Let every example begin with nothing to work on."""
    tables = ("run", "steprun", "attempt", "journalevent", "lineage", "call")
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(f'workflows_{table}' for table in tables)} CASCADE")


def again(calm: Run, chance: random.Random) -> None:
    """A fork from any step, with nothing changed, comes to the same."""
    ran = list(calm.steps.filter(started_at__isnull=False).values_list("path", flat=True))
    for path in chance.sample(ran, min(2, len(ran))):
        made = forking.fork(calm.pk, forking.Ask(from_step=path), actor=OPERATOR)
        assert output(settle(made)) == output(calm), path


@pytest.mark.parametrize("seed", range(3))
def test_retrying_from_any_step_of_a_cancelled_run_comes_to_the_same(seed: int) -> None:
    chance = random.Random(seed)
    definition = {
        "name": "random",
        "steps": [
            {"id": "a", "set": {"v": 1}},
            {
                "id": "m",
                "needs": ["a"],
                "map": {"over": "[1, 2]", "steps": [{"id": "x", "set": {"v": "{{ item }}"}}]},
            },
            {"id": "w", "needs": ["m"], "wait": {"signal": "go"}},
        ],
        "output": "{{ steps.m.output | length }}",
    }
    name = deploy(json.dumps(definition))
    begun = run(name)
    runs.cancel(begun.pk, actor=OPERATOR)
    begun.refresh_from_db()
    for _ in range(3):
        ran = list(
            begun.steps.filter(started_at__isnull=False, superseded=False).values_list("path", flat=True)
        )
        recovery.retry(begun.pk, actor=OPERATOR, from_step=chance.choice(ran))
        drain()
        runs.cancel(begun.pk, actor=OPERATOR)
    recovery.retry(begun.pk, actor=OPERATOR)
    drain()
    runs.signal(begun.pk, "go", None, actor=OPERATOR)
    drain()
    assert output(begun) == 2
