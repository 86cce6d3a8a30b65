"""POST /runs beyond what the installation takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests import engine
from tests.web.api.conftest import Api, assert_problem
from tests.web.api.test_start import ADD
from workflows import admission
from workflows.models import Run


@pytest.fixture(autouse=True)
def _count_anew(transactional_db: None) -> Iterator[None]:
    engine.deploy(ADD)
    admission.forget()
    yield
    admission.forget()


@pytest.mark.parametrize("setting", ["MAX_OPEN_RUNS", "MAX_OPEN_RUNS_PER_WORKFLOW"])
def test_too_many_runs_are_refused_with_a_time_to_come_back(
    api: Api, settings: Settings, setting: str
) -> None:
    setattr(settings, setting, 2)
    body = {"workflow": "add", "input": {"a": 1}}
    for _ in range(2):
        assert api.post("/runs", body).status_code == 201
    refused = api.post("/runs", body)
    assert_problem(refused, 429, "too_many_runs")
    assert int(refused.headers["Retry-After"]) > 0
    assert Run.objects.count() == 2
    admission.forget()
    Run.objects.update(ended_at="2026-01-01T00:00:00Z", state="cancelled")
    assert api.post("/runs", body).status_code == 201


def test_a_refused_request_does_not_use_its_key_up_and_an_old_key_still_answers(
    api: Api, settings: Settings
) -> None:
    settings.MAX_OPEN_RUNS = 1
    body = {"workflow": "add", "input": {"a": 1}}
    first = api.post("/runs", body, headers={"Idempotency-Key": "one"})
    assert_problem(api.post("/runs", body, headers={"Idempotency-Key": "two"}), 429, "too_many_runs")
    again = api.post("/runs", body, headers={"Idempotency-Key": "one"})
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    settings.MAX_OPEN_RUNS = 2
    assert api.post("/runs", body, headers={"Idempotency-Key": "two"}).status_code == 201
