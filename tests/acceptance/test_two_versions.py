"""A deployment under load: real workers of this version and of the next, on one database and one broker.

The next version is this code with one change of the kind that is hard: its claims say more than this one can read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from django.db import connection

from tests.acceptance.test_engine_faults import FAST, in_state, paying
from tests.engine import check_journal, output, start, states
from tests.witness import Behaviour, Witness
from tests.workers import ROOT, Worker, Workers, database_url, until
from workflows.engine import functions
from workflows.models import Attempt, Run

PACKAGES: Final = ("console", "providers", "retrieval", "workflows", "templates")
# file → (what stands in it, what the next version has there)
CHANGES: Final = {
    "workflows/engine/sql/begin.sql": ("'fork', r.fork,", "'fork', r.fork, 'told_later', true,"),
    "workflows/engine/commit.py": ("    sealed: bool  #", "    told_later: bool\n    sealed: bool  #"),
}
MOST: Final = 100  # runs until the worker of another version must have met one
MIGRATION: Final = """
from django.db import migrations

from workflows.engine import functions


class Migration(migrations.Migration):
    dependencies = [("workflows", "{last}")]
    operations = [migrations.RunPython(functions.install, migrations.RunPython.noop)]
"""


class NextVersion:
    """A copy of the code with the change in it."""

    def __init__(self, code: Path) -> None:
        self.code = code
        for name in PACKAGES:
            shutil.copytree(ROOT / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "manage.py", code)
        for name, (old, new) in CHANGES.items():
            text = (code / name).read_text()
            assert text.count(old) == 1, f"{name} has changed: {old}"
            (code / name).write_text(text.replace(old, new))
        folder = code / "workflows" / "migrations"
        last = max(path.stem for path in folder.glob("[0-9]*.py"))
        (folder / "9999_next.py").write_text(MIGRATION.format(last=last))

    def migrate(self) -> None:
        """What its deployment does first."""
        subprocess.run(
            (sys.executable, "manage.py", "migrate", "-v0"),
            cwd=self.code,
            env={**os.environ, "DATABASE_URL": database_url()},
            check=True,
        )


def roll_back() -> None:
    """The statements of this version again."""
    with connection.schema_editor() as editor:
        functions.install(None, editor)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE name = '9999_next'")


@pytest.fixture
def later(tmp_path: Path, transactional_db: None) -> Iterator[NextVersion]:
    yield NextVersion(tmp_path / "next")
    roll_back()


@pytest.fixture
def witness() -> Iterator[Witness]:
    with Witness() as running:
        running.behave("/pay", Behaviour(delay_s=0.2))
        yield running


@pytest.mark.timeout(180)
def test_a_deployment_and_its_rollback_in_the_middle_of_the_work(
    later: NextVersion, worker: Workers, witness: Witness
) -> None:
    name = paying(witness, "once")
    runs = [start(name) for _ in range(10)]
    old = worker.start(env=FAST)
    later.migrate()
    new = worker.start(env=FAST, code=later.code)
    runs += until_it_gave_way(old, name)
    until(lambda: all_succeeded(runs))
    roll_back()
    worker.start(env=FAST)
    runs += until_it_gave_way(new, name)
    until(lambda: all_succeeded(runs))
    assert len(runs) == len(witness.calls) == len({call.key for call in witness.calls})
    for run in runs:
        assert output(run) == {"paid": True}
        check_journal(run)


def advance() -> None:
    """The statements of the next version, in the middle of a step."""
    text = (functions.SQL / "begin.sql").read_text()
    old, new = CHANGES["workflows/engine/sql/begin.sql"]
    with connection.cursor() as cursor:
        cursor.execute(text.replace(old, new))


@pytest.fixture
def advanced(transactional_db: None) -> Iterator[Callable[[], None]]:
    """Call it to have the statements of the next version, for this test."""
    yield advance
    roll_back()


@pytest.mark.parametrize("effect", ["once", "idempotent"])
def test_a_worker_that_gives_way_lets_the_long_step_finish_that_it_holds(
    worker: Workers, witness: Witness, advanced: Callable[[], None], effect: str
) -> None:
    witness.behave("/pay", Behaviour(delay_s=4), Behaviour())  # two leases
    old = worker.start(env=FAST)
    long = start(paying(witness, effect, timeout="20s"))
    until(lambda: len(witness.calls) == 1)
    advanced()
    other = start(long.workflow)
    until(lambda: "worker_is_of_another_version" in old.log)
    assert (old.alive, states(long)["pay"]) == (True, "running")
    assert old.wait_until_dead() == 0
    assert states(long) == {"before": "succeeded", "pay": "succeeded", "after": "ready"}
    roll_back()
    worker.start(env=FAST)
    until(lambda: all_succeeded([long, other]))
    assert len(witness.calls) == len({call.key for call in witness.calls}) == 2
    for run in (long, other):
        assert output(run) == {"paid": True}
        check_journal(run)


@pytest.mark.parametrize(
    ("effect", "becomes", "ends"), [("once", "unknown", "waiting"), ("idempotent", "ready", "succeeded")]
)
def test_a_step_that_outlasts_its_grace_is_handed_back_to_the_other_version(
    worker: Workers, witness: Witness, advanced: Callable[[], None], effect: str, becomes: str, ends: str
) -> None:
    witness.behave("/pay", Behaviour(fault="hang"), Behaviour())
    env = {**FAST, "INTERLOCK_DRAIN_GRACE": "0.5", "INTERLOCK_LEASE": "120"}
    old = worker.start(env=env)
    long = start(paying(witness, effect, timeout="60s"))
    until(lambda: len(witness.calls) == 1)
    advanced()
    other = start(long.workflow)
    assert old.wait_until_dead(10) == 0  # far less than the lease
    assert "worker_is_of_another_version" in old.log
    assert states(long)["pay"] == becomes
    roll_back()
    worker.start(env=env)
    until(lambda: all_succeeded([other]) and in_state(long, ends)())
    attempts = Attempt.objects.filter(step_run__run=long, step_run__path="pay").order_by("number")
    assert list(attempts.values_list("state", flat=True)) == ["interrupted", "succeeded"][: len(attempts)]
    assert len(attempts) == (1 if effect == "once" else 2)
    check_journal(long)


def until_it_gave_way(worker: Worker, name: str) -> list[Run]:
    """Start runs until a worker has ended by itself; whoever looks after it starts what is installed by then."""
    started: list[Run] = []

    def over() -> bool:
        if len(started) < MOST:
            started.append(start(name))
        return not worker.alive

    until(over)
    assert worker.wait_until_dead() == 0
    assert "worker_is_of_another_version" in worker.log
    return started


def all_succeeded(runs: list[Run]) -> bool:
    return Run.objects.filter(pk__in=[run.pk for run in runs], state="succeeded").count() == len(runs)
