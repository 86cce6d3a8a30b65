"""`GET /runs/ID`: the shape of the contract, field by field."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.web.api import records
from tests.web.api.conftest import Api, assert_problem
from workflows import payloads
from workflows.models import Payload

pytestmark = pytest.mark.django_db


def test_every_field_of_the_contract(api: Api) -> None:
    run = records.run(
        value={"ticket": "x"}, output={"severity": 3}, state="succeeded", title="One", session="acme",
        tags=["a"], pins={"handbook": 4}, priority=1, cost_usd=Decimal("0.0123000000"),
        tokens={"input": 5, "cached": 1, "output": 2, "reasoning": 0}, ended_at=records.START,
    )  # fmt: skip
    shape = api.get(f"/runs/{run.id}").json()
    here = f"/api/v1/runs/{run.id}"
    assert shape == {
        "id": run.id,
        "title": "One",
        "trigger": "api",
        "workflow": "triage",
        "release": 1,
        "environment": "production",
        "state": "succeeded",
        "input": {"ticket": "x"},
        "output": {"severity": 3},
        "error": None,
        "snapshots": {"handbook": 4},
        "session": "acme",
        "tags": ["a"],
        "priority": "high",
        "cost_usd": "0.0123",
        "tokens": {"input": 5, "cached": 1, "output": 2, "reasoning": 0},
        "created_at": run.created_at.isoformat().replace("+00:00", "Z"),
        "started_at": run.started_at.isoformat().replace("+00:00", "Z"),  # type: ignore[union-attr]
        "ended_at": "2026-03-01T12:00:00Z",
        "archived_at": None,
        "parent": None,
        "forked_from": None,
        "rollout": None,
        "arm": None,
        "tainted_by": [],
        "links": {
            "self": here,
            "steps": f"{here}/steps",
            "journal": f"{here}/journal",
            "calls": f"{here}/calls",
        },
    }


def test_a_failed_run_says_why(api: Api) -> None:
    error = {"class": "timeout", "message": "Too late.", "step": "a/b"}
    run = records.run(state="failed", error=error, ended_at=records.START)
    assert api.get(f"/runs/{run.id}").json()["error"] == error


def test_totals_grow_while_a_run_goes_on(api: Api) -> None:
    run = records.run()
    records.step(run, "a")
    records.step(run, "b", state="running", cost_usd=None, tokens=None)
    shape = api.get(f"/runs/{run.id}").json()
    assert shape["cost_usd"] == "0.0015"
    assert shape["tokens"] == {"input": 10, "cached": 1, "output": 5, "reasoning": 0}


def test_a_cost_that_is_not_known_is_null_and_not_zero(api: Api) -> None:
    run = records.run()
    records.step(run, "a", cost_usd=None)
    assert api.get(f"/runs/{run.id}").json()["cost_usd"] is None


def test_values_come_back_as_they_were_given(api: Api) -> None:
    value = {"nul": "a\0b", "half": "\ud83d", "whole": "😀", "big": 10**50, "tiny": 1e-300}
    run = records.run(value=value)
    assert api.get(f"/runs/{run.id}").json()["input"] == value


@pytest.mark.parametrize("run_id", ["r_none", "x", "%00", "a%00b", "é", "r_" + "0" * 5000])
def test_a_run_that_does_not_exist(api: Api, run_id: str) -> None:
    answer = api.get(f"/runs/{run_id}")
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


def test_a_value_that_retention_removed_is_said(api: Api) -> None:
    run = records.run(value="gone by now, and in no cache" * 3)
    Payload.objects.all().delete()
    payloads._cache.items.clear()
    assert_problem(api.get(f"/runs/{run.id}"), 410, "payload_gone")
