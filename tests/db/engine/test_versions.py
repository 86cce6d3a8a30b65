"""Workers of two versions on one database, as during a deployment: nothing is lost with the older one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from tests.db.engine.test_leases import TWO
from tests.engine import check_journal, deploy, drain, output, start, states
from workflows.engine import execute, functions
from workflows.engine.leases import Process
from workflows.models import Attempt, Run

BEGIN = (functions.SQL / "begin.sql").read_text()


@pytest.fixture
def newer() -> Iterator[None]:
    """The database is of a later version, whose claims say more than this code can read."""
    _install(BEGIN.replace("'fork', r.fork", "'fork', r.fork, 'told_later', true"))
    yield
    _install(BEGIN)


def _install(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


def handed_back(run: Run, here: Process, path: str) -> None:
    assert states(run)[path] == "ready"
    assert [each.state for each in Attempt.objects.filter(step_run__path=path)] == ["interrupted"]
    assert run.steps.get(path=path).losses == 0
    assert not here.takes_more()
    assert execute.work(here) == 0


@pytest.mark.usefixtures("newer")
def test_a_worker_hands_back_what_it_cannot_read_and_takes_no_more() -> None:
    run, here = start(deploy(TWO)), Process()
    assert execute.work(here) == 0
    handed_back(run, here, "a")
    _install(BEGIN)  # somebody else can read it
    drain()
    assert output(run) == 2
    check_journal(run)


def test_so_it_does_with_what_came_with_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    run, here = start(deploy(TWO)), Process()
    goes_on = execute._goes_on

    def changed_meanwhile(*given: object) -> bool:
        _install(BEGIN.replace("'fork', r.fork", "'told_later', true"))
        return goes_on(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(execute, "_goes_on", changed_meanwhile)
    try:
        assert execute.work(here) == 1
    finally:
        _install(BEGIN)
    assert states(run)["a"] == "succeeded"
    handed_back(run, here, "b")
    monkeypatch.undo()
    drain()
    assert output(run) == 2
    check_journal(run)
