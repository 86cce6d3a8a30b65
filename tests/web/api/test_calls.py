"""`GET /runs/ID/calls`: what was sent to providers and what came back."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from tests.web.api import records
from tests.web.api.conftest import Api, assert_problem

pytestmark = pytest.mark.django_db


def test_every_field_of_the_contract(api: Api) -> None:
    call = records.call(records.step(records.run(), "triage"))
    assert api.get(f"/runs/{call.run_id}/calls").json()["results"] == [
        {
            "id": call.pk,
            "step": "triage",
            "attempt": 1,
            "provider": "fake",
            "model_requested": "m",
            "model_returned": "m-1",
            "request": {"messages": [0]},
            "response": {"text": "answer 0"},
            "finish_reason": "stop",
            "usage": {"input": 3, "cached": 0, "output": 2, "reasoning": 0, "source": "provider"},
            "cost_usd": "0.000007",
            "price_version": "fake@1",
            "timing_ms": {"queue": 0.1, "first_token": 4.0, "total": 9.5},
            "error": None,
            "started_at": "2026-03-01T12:00:00Z",
            "ended_at": "2026-03-01T12:00:00Z",
        }
    ]


def test_a_call_whose_worker_died_has_no_outcome_and_no_cost(api: Api) -> None:
    unknown: dict[str, Any] = {
        "state": "sending",
        "model_returned": "",
        "finish_reason": "",
        "price_version": "",
    }
    fields = ("response_hash", "usage", "cost_usd", "timing_ms", "ended_at")
    call = records.call(records.step(records.run(), "a"), **unknown | dict.fromkeys(fields))
    [shape] = api.get(f"/runs/{call.run_id}/calls").json()["results"]
    for field in (
        "response",
        "cost_usd",
        "usage",
        "timing_ms",
        "ended_at",
        "model_returned",
        "finish_reason",
    ):
        assert shape[field] is None


def test_a_failed_call_says_how(api: Api) -> None:
    error = {"class": "server_error", "status": 503, "message": "busy", "phase": "body"}
    call = records.call(records.step(records.run(), "a"), error=error)
    assert api.get(f"/runs/{call.run_id}/calls").json()["results"][0]["error"] == error


def test_oldest_first_in_pages(api: Api, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    step = records.step(records.run(), "a")
    made = [records.call(step, number).pk for number in range(5)]
    api.get("/runs")
    # token, run, calls with their steps, sizes of payloads
    with django_assert_num_queries(4):
        first = api.get(f"/runs/{step.run_id}/calls", limit=3).json()
    second = api.get(f"/runs/{step.run_id}/calls", limit=3, cursor=first["next"]).json()
    assert [call["id"] for call in first["results"] + second["results"]] == made


def test_an_unknown_run(api: Api) -> None:
    assert_problem(api.get("/runs/r_none/calls"), 404, "unknown_run")
