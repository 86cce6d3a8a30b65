"""Whatever the definition and whatever happens to its run: the same output, one replay, one rebuilt state.

What happens: workers die, are shut down and come late; a person cancels and retries; a step fails for good, since its
tool is broken or its workers die of it, and the run is retried; it is forked with nothing changed.

`RANDOM_EXAMPLES=500 pytest tests/db/engine/test_random.py` looks longer.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from tests import replaying
from tests.db.engine import random_definitions
from tests.engine import OPERATOR, deploy, drain, expire, output, run, start, wake
from workflows import database, payloads, recovery, runs
from workflows.engine import attempt, bundle, changes, commit, execute
from workflows.engine.leases import Process
from workflows.engine.views import Known
from workflows.models import Run, StepRun
from workflows.replay import forking

_LOOKED_AT = settings(
    max_examples=int(os.environ.get("RANDOM_EXAMPLES", "4")),
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


def undisturbed(definition: dict[str, Any], folder: Path) -> Run:
    deploy(random_definitions.child(folder), others=random_definitions.OTHERS)
    name = deploy(json.dumps(definition))
    random_definitions.publish()
    return settle(run(name))


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


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    """Return where the files lie that break tools."""
    settings.TOOL_PYTHON = ["tests.definitions.functions:*"]
    return tmp_path


@pytest.mark.timeout(900)
def test_of_a_random_definition(transactional_db: None, folder: Path) -> None:
    @_LOOKED_AT
    @given(random_definitions.workflows(folder), st.integers(0, 2**32))
    def look(definition: dict[str, Any], seed: int) -> None:
        chance = random.Random(seed)
        bundle.forget_providers()
        calm = undisturbed(definition, folder)
        assert calm.state == "succeeded", calm.error
        shaken = start("random")
        disturbed(shaken, chance)
        assert (shaken.state, output(shaken), shaken.error) == (calm.state, output(calm), calm.error)
        cancelled_and_retried(calm, chance)
        failed_and_mended(calm, chance, folder)
        again(calm, chance)
        assert not (wrong := replaying.differences(Run.objects.all())), "\n".join(wrong)
        forget()

    look()


def forget() -> None:
    """Let every example begin with nothing to work on."""
    tables = ("run", "steprun", "attempt", "journalevent", "lineage", "call")
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(f'workflows_{table}' for table in tables)} CASCADE")


def cancelled_and_retried(calm: Run, chance: random.Random) -> None:
    """A run that was cancelled anywhere and is retried comes to the same."""
    stopped = start("random")
    for _ in range(chance.randrange(6)):
        execute.work()
    if Run.objects.get(pk=stopped.pk).ended_at is None:
        runs.cancel(stopped.pk, actor=OPERATOR)
        settle(stopped)
        recovery.retry(stopped.pk, actor=OPERATOR)
    assert output(settle(stopped)) == output(calm)


def failed_and_mended(calm: Run, chance: random.Random, folder: Path) -> None:
    """A run in which any step fails for good, and that is led on from there, comes to the same.

    Where nobody absorbs the failure the run fails and is retried; else it succeeds with what came of it, and is forked
    from what absorbed it.
    """
    ran = [(calm, step) for step in calm.steps.filter(started_at__isnull=False)]
    inside = [(child, step) for child in calm.children.all() for step in child.steps.all()]
    for of, step in chance.sample(ran, 1) + chance.sample(inside, min(1, len(inside))):
        broken = start("random")
        if of == calm and step.kind == "tool" and chance.random() < 0.7:
            (folder / step.step_id).touch()
            settle(broken)
            (folder / step.step_id).unlink()
            from_step = step.path.partition("/")[0].partition("[")[0]  # its tool was broken for every item
        else:
            let_die(broken, of.parent_path, step.path)
            from_step = of.parent_path or step.path
        told = f"{of.workflow} {step.path} failed, the run {broken.state}"
        if broken.state == "succeeded":
            ask = forking.Ask(from_step=from_step, effects="live")
            broken = forking.fork(broken.pk, ask, actor=OPERATOR)
        else:
            assert broken.state == "failed", told
            recovery.retry(broken.pk, actor=OPERATOR)
        assert output(settle(broken)) == output(calm), told


def let_die(of: Run, parent_path: str | None, path: str) -> None:
    """Work the run off by workers that die of one step, there or in a child run, until nobody tries that any more."""
    here = Process()
    for _ in range(600):
        taken = commit.claim(worker="test", lease_s=30, idle=True)
        if taken is None:
            wake()
            taken = commit.claim(worker="test", lease_s=30, idle=True)
        if taken is None:
            break
        is_there = taken.path == path and Run.objects.get(pk=taken.run).parent_path == parent_path
        if is_there and not taken.poison:
            expire()
        else:
            execute._advance(taken, here, Known(), go_on=lambda: False)
    settle(of)
    failed = StepRun.objects.filter(path=path, error__class="poison", attempts_made__gt=3)
    assert failed.filter(Q(run=of) | Q(run__parent=of)).exists(), path


def again(calm: Run, chance: random.Random) -> None:
    """A fork from any step, with nothing changed, comes to the same in every step."""
    ran = list(calm.steps.filter(started_at__isnull=False).values_list("path", flat=True))
    for path in chance.sample(ran, min(2, len(ran))):
        made = settle(forking.fork(calm.pk, forking.Ask(from_step=path), actor=OPERATOR))
        assert output(made) == output(calm), path
        ours, theirs = stepped(made), stepped(calm)
        assert ours == theirs, (path, {each for each in theirs if ours.get(each) != theirs[each]})


def stepped(of: Run) -> dict[str, tuple[Any, ...]]:
    """Return what each step got and came to. Of memory the values: which version it was a fork cannot share."""
    found = {}
    for step in of.steps.filter(superseded=False):
        given, gave = payloads.load_one(step.input_hash), payloads.load_one(step.output_hash)
        if step.kind == "memory" and gave is not None:
            gave = gave["value"]
        found[step.path] = (step.kind, step.state, given, gave, step.error)
    return found


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
