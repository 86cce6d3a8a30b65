"""`POST /runs/ID/cancel`."""

from __future__ import annotations

import pytest

from tests import engine
from tests.web.api.conftest import Api, assert_problem
from tests.web.api.test_start import ADD
from workflows.models import AuditEntry


@pytest.fixture(autouse=True)
def _deployed(transactional_db: None) -> None:
    engine.deploy(ADD)


def test_a_run_that_goes_on_is_cancelled(api: Api) -> None:
    run = engine.start("add", a=1)
    answer = api.post(f"/runs/{run.pk}/cancel", {"reason": "not needed"})
    assert answer.status_code == 200, answer.content
    assert answer.json()["state"] == "cancelled"
    entry = AuditEntry.objects.filter(action="run.cancel").get()
    assert (entry.reason, entry.actor) == ("not needed", "token:test-admin")


def test_no_body_is_needed(api: Api) -> None:
    run = engine.start("add", a=1)
    assert api.raw(f"/runs/{run.pk}/cancel", b"", content_type="").status_code == 200


def test_a_run_that_has_ended_is_not(api: Api) -> None:
    run = engine.run("add", a=1)
    assert_problem(api.post(f"/runs/{run.pk}/cancel"), 409, "run_ended")


def test_an_unknown_run(api: Api) -> None:
    assert_problem(api.post("/runs/r_none/cancel"), 404, "unknown_run")


@pytest.mark.parametrize("body", [{"reason": 1}, {"why": "x"}, {"reason": "x" * 4001}, {"reason": "\0"}])
def test_a_wrong_body_changes_nothing(api: Api, body: dict[str, object]) -> None:
    run = engine.start("add", a=1)
    assert_problem(api.post(f"/runs/{run.pk}/cancel", body), 422, "invalid_request")
    run.refresh_from_db()
    assert run.state == "queued"
