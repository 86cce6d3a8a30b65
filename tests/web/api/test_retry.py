"""`POST /runs/ID/retry` and `/runs/ID/steps/PATH/resolve`."""

from __future__ import annotations

import pytest

from tests import engine
from tests.web.api.conftest import Api, assert_problem
from tests.web.api.test_start import ADD
from workflows.models import Run

FAILING = """
kind: Workflow
name: failing
input: {type: object}
steps:
  - id: ok
    set: {a: 1}
  - id: bad
    set: {b: "{{ input.missing }}"}
"""


@pytest.fixture
def failed(transactional_db: None) -> Run:
    engine.deploy(FAILING)
    run = engine.run("failing")
    assert run.state == "failed"
    return run


def test_a_failed_run_goes_on(api: Api, failed: Run) -> None:
    answer = api.post(f"/runs/{failed.pk}/retry", {"reason": "mended"})
    assert answer.status_code == 200, answer.content
    shape = answer.json()
    assert (shape["state"], shape["error"], shape["ended_at"]) == ("running", None, None)
    engine.drain()
    [ok, bad] = api.get(f"/runs/{failed.pk}/steps").json()["results"]
    assert (len(ok["attempts"]), len(bad["attempts"])) == (1, 2)
    assert bad["error"]["message"]


def test_the_answer_may_wait_for_the_end(api: Api, failed: Run) -> None:
    answer = api.post(f"/runs/{failed.pk}/retry?wait=0.1")
    assert answer.status_code == 200


def test_a_run_that_succeeded_is_not_retried(api: Api) -> None:
    engine.deploy(ADD)
    run = engine.run("add", a=1)
    problem = assert_problem(api.post(f"/runs/{run.pk}/retry"), 409, "run_not_failed")
    assert "only failed or cancelled runs" in problem["detail"]


def test_an_unknown_run(api: Api) -> None:
    assert_problem(api.post("/runs/r_none/retry"), 404, "unknown_run")


def test_a_step_whose_outcome_is_known_is_not_resolved(api: Api, failed: Run) -> None:
    body = {"action": "skip", "reason": "it is fine"}
    assert_problem(api.post(f"/runs/{failed.pk}/steps/ok/resolve", body), 409, "step_not_unknown")


@pytest.mark.parametrize("path", ["nothing", "a/b", "a[1]/b", "a%00b"])
def test_an_unknown_step(api: Api, failed: Run, path: str) -> None:
    answer = api.post(f"/runs/{failed.pk}/steps/{path}/resolve", {"action": "skip", "reason": "x"})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"action": "skip"}, {"action": "ignore", "reason": "x"}, {"action": "skip", "reason": ""}]
)
def test_a_resolution_needs_an_action_and_a_reason(api: Api, failed: Run, body: dict[str, object]) -> None:
    assert_problem(api.post(f"/runs/{failed.pk}/steps/ok/resolve", body), 422, "invalid_request")
