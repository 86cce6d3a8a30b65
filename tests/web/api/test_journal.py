"""`GET /runs/ID/journal`: events in order, and none is missed by who follows."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from tests.web.api import records
from tests.web.api.conftest import Api, assert_problem
from workflows.models import Run


@pytest.mark.django_db
def test_every_field_of_the_contract(api: Api) -> None:
    run = records.run()
    event = records.event(run, "step.succeeded", n=2, step="a", epoch=1, attempt=1, data={"output": "f0"})
    assert api.get(f"/runs/{run.id}/journal").json() == {
        "results": [
            {
                "seq": event.seq,
                "type": "step.succeeded",
                "at": "2026-03-01T12:00:00Z",
                "step": "a",
                "epoch": 1,
                "attempt": 1,
                "n": 2,
                "data": {"output": "f0"},
            }
        ],
        "next": None,
    }


@pytest.mark.django_db
def test_after_leaves_out_what_was_seen(api: Api) -> None:
    run = records.run()
    events = [records.event(run, "run.created", n=n).seq for n in range(1, 6)]
    records.event(records.run(), "run.created", n=1)
    shown = api.get(f"/runs/{run.id}/journal", after=events[1]).json()["results"]
    assert [event["seq"] for event in shown] == events[2:]


@pytest.mark.django_db
def test_pages_go_on_where_they_ended(api: Api) -> None:
    run = records.run()
    events = [records.event(run, "run.created", n=n).seq for n in range(1, 6)]
    first = api.get(f"/runs/{run.id}/journal", limit=2).json()
    second = api.get(f"/runs/{run.id}/journal", limit=200, cursor=first["next"]).json()
    assert [event["seq"] for event in first["results"] + second["results"]] == events


@pytest.mark.django_db
@pytest.mark.parametrize("after", [-1, "x", 2**64, "1.5"])
def test_a_wrong_place_is_refused(api: Api, after: object) -> None:
    assert_problem(api.get(f"/runs/{records.run().id}/journal", after=after), 422, "invalid_request")


@pytest.mark.django_db
def test_an_unknown_run(api: Api) -> None:
    assert_problem(api.get("/runs/r_none/journal"), 404, "unknown_run")


_INSERT = (
    "INSERT INTO workflows_journalevent (run_id, type, at, n, data)"
    " VALUES (%s, %s, clock_timestamp(), %s, '{}')"
)


def _connect() -> psycopg.Connection[tuple[object, ...]]:
    given = {key: value for key, value in connection.get_connection_params().items() if key != "pool"}
    return psycopg.connect(**given)


def _seqs(api: Api, run: Run, after: int = 0) -> list[int]:
    return [event["n"] for event in api.get(f"/runs/{run.id}/journal", after=after).json()["results"]]


@pytest.mark.django_db(transaction=True)
def test_an_event_waits_for_one_that_was_numbered_before_it(api: Api) -> None:
    """Two writers: the slower one got the smaller number. Whoever saw the larger would never see it."""
    run = records.run()
    with _connect() as slow, _connect() as quick:
        slow.execute(_INSERT, (run.id, "slow", 1))
        quick.execute(_INSERT, (run.id, "quick", 2))
        quick.commit()
        assert _seqs(api, run) == []
        slow.commit()
        assert _seqs(api, run) == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_hangs_holds_nothing_back_for_long(api: Api) -> None:
    run = records.run()
    with _connect() as hanging:
        hanging.execute(_INSERT, (run.id, "slow", 1))
        records.event(run, "old", n=2, at=timezone.now() - timedelta(seconds=11))
        records.event(run, "young", n=3, at=timezone.now())
        assert _seqs(api, run) == [2]
