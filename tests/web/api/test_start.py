"""`POST /runs`: starting runs, refusals, and keys that make it safe to repeat."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from tests import engine
from tests.web.api.conftest import Api, assert_problem
from workflows.models import AuditEntry, Run

ADD = """
kind: Workflow
name: add
input:
  type: object
  required: [a]
  properties: {a: {type: integer}, more: {type: array, items: {type: object, required: [b]}}}
session: "{{ input.a }}"
steps:
  - id: sum
    set: {total: "{{ input.a + 1 }}"}
output: {total: "{{ steps.sum.output.total }}"}
"""


@pytest.fixture(autouse=True)
def _deployed(transactional_db: None) -> None:
    engine.deploy(ADD)


def test_a_run_is_created_and_can_be_found(api: Api) -> None:
    answer = api.post("/runs", {"workflow": "add", "input": {"a": 1}, "title": "One", "tags": ["x"]})
    assert answer.status_code == 201, answer.content
    run = answer.json()
    assert answer["Location"] == f"/api/v1/runs/{run['id']}"
    assert "Idempotency-Replayed" not in answer
    assert run["state"] == "queued"
    assert run["input"] == {"a": 1}
    assert (run["trigger"], run["session"], run["tags"]) == ("api", "1", ["x"])
    assert api.get(f"/runs/{run['id']}").json() == run
    assert Run.objects.get().created_by == "token:test-admin"


def test_its_output_is_there_when_it_has_ended(api: Api) -> None:
    run = api.post("/runs", {"workflow": "add", "input": {"a": 1}}).json()
    engine.drain()
    ended = api.get(f"/runs/{run['id']}").json()
    assert (ended["state"], ended["output"]) == ("succeeded", {"total": 2})


def test_what_is_asked_for_wins_over_the_document(api: Api) -> None:
    asked = {"workflow": "add", "input": {"a": 1}, "session": "mine", "priority": "high", "deadline": 60,
             "release": 1, "environment": "production"}  # fmt: skip
    run = api.post("/runs", asked).json()
    assert (run["session"], run["priority"], run["release"]) == ("mine", "high", 1)
    row = Run.objects.get()
    assert row.deadline_at is not None
    assert 59 < (row.deadline_at - row.created_at).total_seconds() < 61


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"workflow": "nothing"}, 404, "unknown_workflow"),
        ({"workflow": ""}, 404, "unknown_workflow"),
        ({"environment": "nowhere"}, 404, "unknown_environment"),
        ({"release": 99}, 404, "unknown_release"),
        ({"input": {}}, 422, "input_invalid"),
        ({"input": None}, 422, "input_invalid"),
        ({"input": {"a": 1, "more": [{"b": 1}, {}]}}, 422, "input_invalid"),
        ({"deadline": 0}, 422, "invalid_request"),
        ({"deadline": -1}, 422, "invalid_request"),
        ({"deadline": 1e300}, 422, "invalid_request"),
        ({"release": 0}, 422, "invalid_request"),
        ({"release": 1.5}, 422, "invalid_request"),
        ({"release": "1"}, 422, "invalid_request"),
        ({"release": 10**30}, 422, "invalid_request"),
        ({"tags": "x"}, 422, "invalid_request"),
        ({"tags": [""]}, 422, "invalid_request"),
        ({"tags": ["x"] * 51}, 422, "invalid_request"),
        ({"title": "x" * 501}, 422, "invalid_request"),
    ],
)
def test_a_refused_request_starts_nothing(api: Api, change: dict[str, Any], status: int, code: str) -> None:
    body = {"workflow": "add", "input": {"a": 1}, **change}
    assert_problem(api.post("/runs", body), status, code)
    assert not Run.objects.exists()


def test_every_wrong_place_of_an_input_is_named(api: Api) -> None:
    body = {"workflow": "add", "input": {"a": "x", "more": [{"b": 1}, {}]}}
    problem = assert_problem(api.post("/runs", body), 422, "input_invalid")
    paths = {fault["path"] for fault in problem["errors"]}
    assert len(paths) == 2
    assert any(path.endswith("a") for path in paths), paths
    assert any("more[1]" in path for path in paths), paths


def test_a_workflow_without_a_release_is_said(api: Api) -> None:
    engine.save("Workflow", ADD.replace("name: add", "name: bare"))
    assert_problem(api.post("/runs", {"workflow": "bare", "input": {"a": 1}}), 409, "not_deployed")


@pytest.mark.parametrize("text", ["nul \0", "😀", "x" * 100_000])
def test_any_text_may_be_an_input(api: Api, text: str) -> None:
    engine.deploy(
        '{kind: Workflow, name: echo, steps: [{id: a, set: {t: "{{ input }}"}}], output: "{{ input }}"}'
    )
    answer = api.post("/runs", {"workflow": "echo", "input": text})
    assert answer.status_code == 201, answer.content
    run = answer.json()
    assert run["input"] == text
    engine.drain()
    assert api.get(f"/runs/{run['id']}").json()["output"] == text


def test_half_a_character_fits_no_schema(api: Api) -> None:
    body = {"workflow": "add", "input": {"a": "\ud800"}}
    assert_problem(api.post("/runs", body), 422, "input_invalid")


# --- keys ---------------------------------------------------------------------------------------


def _keyed(api: Api, body: dict[str, Any], key: str = "k-1") -> Any:
    return api.post("/runs", body, headers={"Idempotency-Key": key})


def test_the_same_key_and_body_is_the_same_run(api: Api) -> None:
    body = {"workflow": "add", "input": {"a": 1}}
    first, second = _keyed(api, body), _keyed(api, body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second["Idempotency-Replayed"] == "true"
    assert first.json() == second.json()
    assert Run.objects.count() == 1


def test_the_order_of_fields_and_spaces_makes_no_other_body(api: Api) -> None:
    first = api.raw("/runs", '{"workflow":"add","input":{"a":1}}', headers={"Idempotency-Key": "k"})
    second = api.raw("/runs", '{ "input": {"a": 1}, "workflow": "add" }', headers={"Idempotency-Key": "k"})
    assert (first.status_code, second.status_code) == (201, 200)


@pytest.mark.parametrize(
    "other",
    [
        {"workflow": "add", "input": {"a": 2}},
        {"workflow": "add", "input": {"a": 1}, "title": "other"},
        {"workflow": "add", "input": {"a": "does not fit"}},
        {"workflow": "add", "input": {"a": 1}, "priority": "no such thing"},
        {"workflow": "add", "input": {"a": 1}, "unknown": 1},
        {"workflow": "add"},
    ],
)
def test_another_body_under_a_key_is_refused_before_it_is_validated(api: Api, other: dict[str, Any]) -> None:
    _keyed(api, {"workflow": "add", "input": {"a": 1}})
    assert_problem(_keyed(api, other), 422, "idempotency_key_reused")
    assert Run.objects.count() == 1


def test_a_refused_request_does_not_use_its_key_up(api: Api) -> None:
    assert _keyed(api, {"workflow": "add", "input": {}}).status_code == 422
    assert _keyed(api, {"workflow": "add", "input": {"a": 1}}).status_code == 201


def test_a_key_belongs_to_one_workflow(api: Api) -> None:
    engine.deploy(ADD.replace("name: add", "name: plus"))
    assert _keyed(api, {"workflow": "add", "input": {"a": 1}}).status_code == 201
    assert _keyed(api, {"workflow": "plus", "input": {"a": 1}}).status_code == 201


def test_a_key_outlives_the_release_that_the_run_had(api: Api) -> None:
    body = {"workflow": "add", "input": {"a": 1}}
    first = _keyed(api, body).json()
    engine.deploy(ADD.replace("[a]", "[a, z]"))
    second = _keyed(api, body)
    assert (second.status_code, second.json()["id"]) == (200, first["id"])


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(api: Api, key: str) -> None:
    problem = assert_problem(_keyed(api, {"workflow": "add", "input": {"a": 1}}, key), 422, "invalid_request")
    assert problem["errors"][0]["path"] == "Idempotency-Key"
    assert not Run.objects.exists()


def test_the_longest_key_is_taken(api: Api) -> None:
    assert _keyed(api, {"workflow": "add", "input": {"a": 1}}, "x" * 255).status_code == 201


# --- waiting ------------------------------------------------------------------------------------


def test_an_answer_waits_no_longer_than_it_is_told(api: Api) -> None:
    answer = api.post("/runs?wait=0.2", {"workflow": "add", "input": {"a": 1}})
    assert (answer.status_code, answer.json()["state"]) == (201, "queued")


@pytest.mark.parametrize("wait", ["-1", "61", "soon", "nan", "inf", "1e400"])
def test_a_wait_has_0_to_60_seconds(api: Api, wait: str) -> None:
    answer = api.post(f"/runs?wait={wait}", {"workflow": "add", "input": {"a": 1}})
    assert_problem(answer, 422, "invalid_request")
    assert not Run.objects.exists()


def test_starting_takes_few_statements(api: Api, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    body = {"workflow": "add", "input": {"a": 1}}
    api.post("/runs", body)
    # the token; what is deployed is read and the run written past the ORM
    with django_assert_num_queries(1):
        api.post("/runs", body)


def test_starting_writes_no_audit_entry_for_each_run(api: Api) -> None:
    before = AuditEntry.objects.count()
    api.post("/runs", {"workflow": "add", "input": {"a": 1}})
    assert AuditEntry.objects.count() == before
