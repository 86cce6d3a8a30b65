"""A clock that dies at any statement, and two clocks at once: every move is made once, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from tests import engine, rolling
from tests.rolling import ANNA
from tests.threads import DatabaseThread
from workflows.models import AuditEntry, Deployment, Event, Measurement, Rollout
from workflows.releases import rollouts, tending


class Died(BaseException):
    """The process is gone: nothing of it may catch this."""


@contextmanager
def dying_at(number: int) -> Iterator[list[str]]:
    """Die before the statement of this number (from 0); gives the statements that were reached."""
    reached: list[str] = []

    def wrapper(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if len(reached) == number:
            raise Died
        reached.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(wrapper):
        yield reached


def begun(*, failed: int) -> Rollout:
    rolling.releases()
    rolling.environment(
        steps=[{"weight": 50}, {"analysis": "errors"}], errors={"count": 1, "interval": "500ms"}
    )
    row = rolling.deploy(now=rolling.now())
    rolling.until_still(rolling.now())
    rolling.ended_runs(row, "stable", 60)
    rolling.ended_runs(row, "candidate", 60, failed=failed)
    return row


@pytest.mark.parametrize(("failed", "outcome"), [(0, ("succeeded", 2, 100.0)), (40, ("rolled_back", 1, 0.0))])
def test_a_clock_that_dies_at_any_statement_leaves_the_move_to_the_next(
    failed: int, outcome: tuple[str, int, float]
) -> None:
    row, moment, number = begun(failed=failed), rolling.after(2), 0
    before = rolling.shown(row)
    audited, told = AuditEntry.objects.count(), Event.objects.count()
    while True:
        try:
            with dying_at(number) as reached:
                tending.advance(rollouts.get(row.pk), now=moment)
            break
        except Died:
            number += 1
        assert rolling.shown(row) == before
        assert (AuditEntry.objects.count(), Measurement.objects.count()) == (audited, 0)
        assert Deployment.objects.get(workflow="echo").stable.number == 1
    assert len(reached) == number > 4
    assert rolling.shown(row) == outcome
    rolling.until_still(moment)
    assert (AuditEntry.objects.count(), Measurement.objects.count()) == (audited + 1, 1)
    assert Event.objects.count() == told  # nobody listens


def test_two_clocks_move_it_once() -> None:
    row, moment = begun(failed=0), rolling.after(2)
    audited, moves = AuditEntry.objects.count(), rollouts.get(row.pk).moves
    gate, wrong = threading.Barrier(4), list[BaseException]()
    moved: list[int] = []

    def one() -> None:
        try:
            gate.wait(10)
            moved.append(tending.tick(moment))
        except BaseException as error:
            wrong.append(error)

    threads = [DatabaseThread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong
    assert sum(moved) == 1
    row.refresh_from_db()
    assert (row.state, row.moves) == ("succeeded", moves + 1)
    assert (AuditEntry.objects.count(), Measurement.objects.count()) == (audited + 1, 1)


def test_one_that_cannot_be_led_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    row = begun(failed=0)
    Rollout.objects.filter(pk=row.pk).update(plan={"steps": "nonsense"})
    engine.apply("kind: Workflow" + (rolling.ECHO % 1).replace("echo", "other"))
    engine.apply("kind: Workflow" + (rolling.ECHO % 2).replace("echo", "other"))
    other = rolling.deploy(now=rolling.now(), workflow="other")
    assert tending.tick(rolling.after(2)) == 1
    assert rolling.shown(other)[1] == 1
    assert rolling.shown(row)[0] == "running"


def test_many_people_at_once_promote_one_step_each() -> None:
    rolling.releases()
    rolling.environment(steps=[{"weight": n} for n in (1, 2, 3, 4, 5, 6)])
    row = rolling.deploy(now=rolling.now())
    wrong: list[BaseException] = []

    def one() -> None:
        try:
            rollouts.promote(row.pk, actor=ANNA, reason="", now=rolling.now())
        except BaseException as error:
            wrong.append(error)

    threads = [DatabaseThread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong
    assert rolling.shown(row) == ("running", 4, 5.0)
    assert AuditEntry.objects.filter(action="rollout.promote").count() == 4
