"""`/deployments` with steps, and `/rollouts`: shown, promoted, paused, resumed, aborted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import engine, rolling
from tests.web.api.conftest import Api, assert_problem
from workflows.models import Rollout

pytestmark = pytest.mark.django_db(transaction=True)
PLACE = "/deployments/echo/production"


@pytest.fixture
def begun(api: Api) -> int:
    rolling.releases()
    rolling.environment(steps=[{"weight": 20}, {"analysis": "errors"}, {"pause": {}}, {"weight": 100}])
    answer = api.post(PLACE, {"release": 2, "strategy": "rollout", "reason": "shorter"})
    assert answer.status_code == 200, answer.json()
    assert answer.json()["stable"] == 1
    assert answer.json()["candidate"] == 2
    return int(answer.json()["rollout"])


def test_a_rollout_is_begun_and_shown(api: Api, begun: int) -> None:
    shown = api.get(f"/rollouts/{begun}").json()
    assert (shown["state"], shown["step"], shown["weight"]) == ("running", 0, 20.0)
    assert (shown["from_release"], shown["to_release"], shown["verdict"]) == (1, 2, None)
    assert (shown["reason"], shown["started_by"]) == ("shorter", "token:test-admin")
    assert [
        row["id"] for row in api.get("/rollouts", workflow="echo", state="running").json()["results"]
    ] == [begun]
    assert api.get("/rollouts", state="paused").json()["results"] == []
    assert api.get(PLACE).json()["rollout"] == begun
    assert_problem(api.get("/rollouts/999"), 404, "unknown_rollout")


def test_a_measurement_is_shown_with_its_interval_and_words(api: Api, begun: int) -> None:
    row = Rollout.objects.get(pk=begun)
    rolling.until_still(rolling.now())
    rolling.ended_runs(row, "stable", 160, failed=2)
    rolling.ended_runs(row, "candidate", 40, failed=14)
    rolling.until_still(rolling.after(61))
    shown = api.get(f"/rollouts/{begun}").json()
    [metric] = shown["metrics"]
    assert (shown["state"], shown["verdict"], metric["verdict"]) == ("rolled_back", "fail", "fail")
    assert (metric["n"], metric["n_stable"], metric["threshold"]) == (40, 160, {"max_increase": 0.05})
    assert metric["interval"][0] > 0.05
    assert metric["interval_of"] == "increase"
    assert "The limit is broken." in metric["words"]
    [measured] = api.get(f"/rollouts/{begun}/measurements").json()["results"]
    assert measured["metrics"] == shown["metrics"]


def test_a_person_leads_a_rollout(api: Api, begun: int) -> None:
    at = f"/rollouts/{begun}"
    assert api.post(f"{at}/pause", {"reason": "lunch"}).json()["paused_for"] == "operator"
    assert_problem(api.post(f"{at}/pause", {}), 409, "rollout_state")
    assert api.post(f"{at}/resume", {}).json()["state"] == "running"
    assert api.post(f"{at}/promote", {}).json()["step"] == 1
    assert api.post(f"{at}/promote", {}).json()["paused_for"] == "gate"
    assert_problem(api.post(f"{at}/resume", {}), 409, "rollout_waits")
    assert_problem(api.post(PLACE, {"release": 2, "strategy": "rollout"}), 409, "rollout_active")
    assert api.post(f"{at}/promote", {"fully": True}).json()["state"] == "succeeded"
    assert api.get(PLACE).json() == {
        "workflow": "echo",
        "environment": "production",
        "stable": 2,
        "candidate": None,
        "rollout": None,
    }
    assert_problem(api.post(f"{at}/abort", {}), 409, "rollout_state")
    assert_problem(api.post(f"{at}/abort", {"in_flight": "maybe"}), 422, "invalid_request")


def test_operators_stop_and_editors_promote(as_role: Callable[[str], Api], begun: int) -> None:
    at = f"/rollouts/{begun}"
    assert_problem(as_role("operator").post(f"{at}/promote", {}), 403, "forbidden")
    assert as_role("operator").post(f"{at}/pause", {}).status_code == 200
    assert as_role("operator").post(f"{at}/abort", {"in_flight": "cancel"}).json()["state"] == "aborted"


def test_in_a_protected_environment_the_same_token_cannot_approve(
    api: Api, as_role: Callable[[str], Api]
) -> None:
    rolling.releases()
    rolling.environment(protected=True)
    begun = api.post(PLACE, {"release": 2}).json()["rollout"]
    assert_problem(api.post(f"/rollouts/{begun}/promote", {}), 403, "second_person_needed")
    assert as_role("editor").post(f"/rollouts/{begun}/promote", {}).json()["weight"] == 100.0


def test_a_run_says_which_release_a_rollout_gave_it(api: Api, begun: int) -> None:
    run = engine.start("echo", who="x")
    shown = api.get(f"/runs/{run.pk}").json()
    assert (shown["rollout"], shown["arm"]) == (begun, run.arm)
