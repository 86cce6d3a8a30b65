"""`GET /runs/ID/steps`: step runs with attempts, in a fixed number of queries."""

from __future__ import annotations

import pytest
from pytest_django import DjangoAssertNumQueries

from tests.web.api import records
from tests.web.api.conftest import Api, assert_problem

pytestmark = pytest.mark.django_db


def test_every_field_of_the_contract(api: Api) -> None:
    step = records.step(records.run(), "score[3]/judge")
    records.attempt(step, 2, state="lost", error={"class": "lost", "message": "The worker died."})
    records.call(step)
    [shape] = api.get(f"/runs/{step.run_id}/steps").json()["results"]
    first, second = shape.pop("attempts")
    assert shape == {
        "path": "score[3]/judge",
        "kind": "prompt",
        "state": "succeeded",
        "epoch": 1,
        "input": {"in": "score[3]/judge"},
        "output": {"out": "score[3]/judge"},
        "error": None,
        "started_at": "2026-03-01T12:00:00Z",
        "ended_at": "2026-03-01T12:00:02Z",
        "cost_usd": "0.0015",
        "tokens": {"input": 10, "cached": 1, "output": 5, "reasoning": 0},
    }
    assert first == {
        "number": 1,
        "state": "succeeded",
        "worker": "host:1:a",
        "started_at": "2026-03-01T12:00:00Z",
        "ended_at": None,
        "error": None,
        "calls": 1,
    }
    assert (second["state"], second["calls"]) == ("lost", 0)
    assert second["error"] == {"class": "lost", "message": "The worker died."}


def test_steps_come_in_the_order_in_which_they_came_to_be(api: Api) -> None:
    run = records.run()
    paths = ["b", "a", "c[10]/x", "c[2]/x"]
    for path in paths:
        records.step(run, path)
    records.step(records.run(), "of another run")
    first = api.get(f"/runs/{run.id}/steps", limit=3).json()
    second = api.get(f"/runs/{run.id}/steps", limit=3, cursor=first["next"]).json()
    assert [step["path"] for step in first["results"] + second["results"]] == paths
    assert second["next"] is None


def test_epochs_are_kept_for_view(api: Api) -> None:
    run = records.run()
    records.step(run, "a", superseded=True)
    records.step(run, "a", epoch=2)
    shown = api.get(f"/runs/{run.id}/steps").json()["results"]
    assert [step["epoch"] for step in shown] == [1, 2]


def test_the_number_of_queries_does_not_grow(
    api: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    run = records.run()
    records.call(records.step(run, "a"))
    api.get("/runs")
    for count in (1, 20):
        # token, run, steps, sizes of payloads, attempts, counts of calls
        with django_assert_num_queries(6):
            assert len(api.get(f"/runs/{run.id}/steps").json()["results"]) == count
        for number in range(19):
            records.call(records.step(run, f"b[{count + number}]"))


def test_an_unknown_run(api: Api) -> None:
    assert_problem(api.get("/runs/r_none/steps"), 404, "unknown_run")
