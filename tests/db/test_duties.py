"""Duties of the clock: one thread each, and none of them takes the clock with it when the database goes."""

from __future__ import annotations

import threading

import pytest

from tests import bulk
from tests.workers import until
from workflows import database
from workflows.duties import Duty
from workflows.engine.clock import Clock
from workflows.engine.leases import process
from workflows.models import Run

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_clock_lives_on_when_every_connection_breaks() -> None:
    [first] = bulk.outage(1)
    clock = Clock(process)
    clock.start()
    try:
        until(lambda: Run.objects.filter(pk=first.pk, error_group__isnull=False).exists(), within_s=20)
        database.fetch_all(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()",
            [],
        )
        database.fetch_all("UPDATE workflows_clocklease SET held_until = clock_timestamp() RETURNING 1", [])
        until(_held, within_s=20, what="the clock is held again")
    finally:
        clock.ending.set()
        clock.join()


def _held() -> bool:
    rows = database.fetch_all("SELECT held_until > clock_timestamp() FROM workflows_clocklease", [])
    return bool(rows and rows[0][0])


def test_a_duty_is_done_by_one_thread_at_a_time_and_survives_its_own_failure() -> None:
    gate, began = threading.Event(), []

    def work() -> None:
        began.append(threading.current_thread().name)
        gate.wait(10)
        raise RuntimeError("broken")

    duty = Duty("some duty", work)
    duty.begin()
    until(lambda: len(began) == 1)
    duty.begin()
    gate.set()
    until(lambda: not duty._busy.locked())
    assert began == ["some duty"]
    duty.begin()
    until(lambda: len(began) == 2)
