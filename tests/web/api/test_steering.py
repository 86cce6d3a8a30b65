"""Pause, resume, signal; approvals; pauses of a scope."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import engine
from tests.web.api.conftest import Api, assert_problem
from workflows.models import AuditEntry, Run

ASKING = """
name: asking
steps:
  - id: sure
    approval:
      title: "Sure about {{ input.n }}?"
      group: GROUP
      timeout: 1h
      fields: {required: [sum], properties: {sum: {type: number, maximum: 100}}}
  - {id: told, wait: {signal: go}}
output:
  sum: "{{ steps.sure.output.fields.sum }}"
  by: "{{ steps.sure.output.by }}"
  told: "{{ steps.told.output.payload }}"
"""


@pytest.fixture(autouse=True)
def _real(transactional_db: None) -> None:
    """The engine commits on connections of its own."""


def asking(group: str = "operators") -> Run:
    return engine.run(engine.deploy(ASKING.replace("GROUP", group)), n=3)


def test_an_approval_is_listed_decided_and_leads_its_run_on(api: Api) -> None:
    run = asking()
    (shown,) = api.get("/approvals").json()["results"]
    assert (shown["state"], shown["title"], shown["run"], shown["step"]) == (
        "open",
        "Sure about 3?",
        run.pk,
        "sure",
    )
    assert shown["fields"]["required"] == ["sum"]
    body = {"approved": True, "fields": {"sum": 5}, "comment": "fine"}
    decided = api.post(f"/approvals/{shown['id']}/decide", body)
    assert decided.status_code == 200, decided.content
    assert (decided.json()["state"], decided.json()["decided_by"]) == ("approved", "token:test-admin")
    engine.drain()
    assert api.post(f"/runs/{run.pk}/signal", {"name": "go", "payload": [1]}).status_code == 200
    engine.drain()
    assert engine.output(run) == {"sum": 5, "by": "token:test-admin", "told": [1]}
    assert api.get("/approvals").json()["results"] == []
    assert api.get("/approvals", state="any", run=run.pk).json()["results"][0]["comment"] == "fine"
    assert AuditEntry.objects.filter(action="approval.approved").get().reason == "fine"


def test_a_late_decision_hears_who_was_faster_and_changes_nothing(api: Api) -> None:
    asking()
    id = api.get("/approvals").json()["results"][0]["id"]
    api.post(f"/approvals/{id}/decide", {"approved": False})
    late = api.post(f"/approvals/{id}/decide", {"approved": True, "fields": {"sum": 1}})
    assert_problem(late, 409, "approval_closed")
    assert "rejected by token:test-admin" in late.json()["detail"]


def test_a_form_that_does_not_fit_is_told_by_path(api: Api) -> None:
    asking()
    id = api.get("/approvals").json()["results"][0]["id"]
    refused = api.post(f"/approvals/{id}/decide", {"approved": True, "fields": {"sum": 500}})
    assert_problem(refused, 422, "input_invalid")
    assert refused.json()["errors"][0]["path"] == "sum"


@pytest.mark.parametrize(
    ("group", "role", "status"),
    [
        ("operators", "operator", 200),
        ("operator", "editor", 200),
        ("editors", "operator", 403),
        ("finance", "editor", 403),
        ("finance", "admin", 200),
        ("operators", "viewer", 403),
    ],
)
def test_who_may_decide(as_role: Callable[[str], Api], group: str, role: str, status: int) -> None:
    asking(group)
    client = as_role(role)
    id = client.get("/approvals").json()["results"][0]["id"]
    assert client.post(f"/approvals/{id}/decide", {"approved": False}).status_code == status


def test_a_run_is_paused_and_resumed(api: Api) -> None:
    run = asking()
    paused = api.post(f"/runs/{run.pk}/pause", {"reason": "look"})
    assert (paused.status_code, paused.json()["state"]) == (200, "paused")
    assert_problem(api.post(f"/runs/{run.pk}/pause"), 409, "run_not_active")
    resumed = api.post(f"/runs/{run.pk}/resume")
    assert resumed.json()["state"] == "waiting"
    assert_problem(api.post(f"/runs/{run.pk}/resume"), 409, "run_not_paused")
    assert_problem(api.post("/runs/r_none/pause"), 404, "unknown_run")


def test_a_signal_that_nobody_waits_for_is_refused(api: Api) -> None:
    run = asking()
    assert_problem(api.post(f"/runs/{run.pk}/signal", {"name": "stop"}), 409, "unknown_signal")
    api.post(f"/runs/{run.pk}/cancel")
    assert_problem(api.post(f"/runs/{run.pk}/signal", {"name": "go"}), 409, "run_ended")
    assert_problem(api.post(f"/runs/{run.pk}/signal", {}), 422, "invalid_request")


def test_a_scope_is_paused_until_somebody_ends_it(api: Api) -> None:
    name = engine.deploy("name: held\nsteps: [{id: a, set: {v: 1}}]")
    made = api.post("/pauses", {"workflow": name, "reason": "bad prompt"})
    assert made.status_code == 201, made.content
    run = engine.run(name)
    assert run.state == "queued"
    assert [each["workflow"] for each in api.get("/pauses").json()["results"]] == ["held"]
    assert_problem(api.post("/pauses", {"workflow": name, "reason": "x"}), 409, "paused_already")
    assert_problem(api.post("/pauses", {"workflow": "none", "reason": "x"}), 404, "unknown_workflow")
    assert_problem(api.post("/pauses", {"reason": " "}), 422, "reason_missing")
    assert api.client.delete(f"/api/v1/pauses/{made.json()['id']}", headers=api.headers).status_code == 204
    engine.drain()
    run.refresh_from_db()
    assert run.state == "succeeded"
