"""Prompts, workflows, routes, providers and tools: listed, shown, saved, rendered."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from tests.web.api.conftest import Api, assert_problem
from workflows.models import AuditEntry, DefinitionVersion

pytestmark = pytest.mark.django_db

PROMPT: dict[str, Any] = {
    "name": "triage",
    "variables": {"ticket": {"type": "string"}},
    "messages": [
        {"role": "system", "content": "You sort tickets."},
        {"role": "user", "content": "{{ ticket }}"},
    ],
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "prompts": PROMPT,
    "providers": {"name": "fake", "api": "scripted", "models": [{"name": "m"}]},
    "tools": {
        "name": "ping",
        "description": "Pings.",
        "http": {"method": "GET", "url": "https://example.test/"},
        "effect": "read",
    },
    "workflows": {"name": "one", "steps": [{"id": "a", "set": {"x": 1}}]},
}


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_a_saved_document_is_listed_and_shown(api: Api, kind: str) -> None:
    body = EXAMPLES[kind]
    saved = api.post(f"/{kind}", body)
    assert saved.status_code == 201, saved.content
    shape = saved.json()
    assert (shape["name"], shape["version"], shape["created_by"]) == (body["name"], 1, "token:test-admin")
    assert shape["body"] == {"kind": shape["kind"], **body}
    assert api.get(f"/{kind}").json() == {"results": [shape], "next": None}
    assert api.get(f"/{kind}/{body['name']}").json() == shape


def test_saving_the_same_again_makes_no_version(api: Api) -> None:
    api.post("/prompts", PROMPT)
    again = api.post("/prompts", {"kind": "Prompt", **PROMPT})
    assert (again.status_code, again.json()["version"]) == (200, 1)
    assert DefinitionVersion.objects.count() == 1


def test_versions_are_kept_newest_first(api: Api) -> None:
    for text in ("one", "two", "three"):
        api.post("/prompts", {**PROMPT, "messages": [{"role": "user", "content": text}]})
    first = api.get("/prompts/triage/versions", limit=2).json()
    second = api.get("/prompts/triage/versions", limit=2, cursor=first["next"]).json()
    assert [shape["version"] for shape in first["results"] + second["results"]] == [3, 2, 1]
    assert api.get("/prompts/triage", version=2).json()["body"]["messages"][0]["content"] == "two"
    assert api.get("/prompts").json()["results"][0]["version"] == 3


def test_documents_are_listed_in_pages_with_a_fixed_number_of_queries(
    api: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        api.post("/prompts", {**PROMPT, "name": f"p{number}"})
    with django_assert_num_queries(2):  # token, page
        first = api.get("/prompts", limit=3).json()
    second = api.get("/prompts", limit=3, cursor=first["next"]).json()
    assert [shape["name"] for shape in first["results"] + second["results"]] == ["p4", "p3", "p2", "p1", "p0"]
    assert [shape["name"] for shape in api.get("/prompts", q="p3").json()["results"]] == ["p3"]


def test_a_wrong_document_is_refused_with_every_place(api: Api) -> None:
    body = {"name": "triage", "messages": [{"role": "nobody", "content": 1}], "colour": "red"}
    problem = assert_problem(api.post("/prompts", body), 422, "invalid_request")
    assert len(problem["errors"]) >= 2
    assert all({"path", "message", "file", "line"} <= set(fault) for fault in problem["errors"])
    assert not DefinitionVersion.objects.exists()


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "name"),
        ({"name": "Not A Name"}, "name"),
        ({"name": "x" * 64}, "name"),
        ({"name": "a", "kind": "Workflow"}, "kind"),
        ({"name": 1}, "name"),
    ],
)
def test_a_document_needs_a_name_of_its_kind(api: Api, body: dict[str, Any], path: str) -> None:
    problem = assert_problem(api.post("/prompts", body), 422, "invalid_request")
    assert problem["errors"][0]["path"] == path


@pytest.mark.parametrize(
    "address", ["/prompts/nothing", "/prompts/nothing/versions", "/tools/é", "/routes/a%00b"]
)
def test_an_unknown_name(api: Api, address: str) -> None:
    answer = api.get(address)
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


def test_an_unknown_version(api: Api) -> None:
    api.post("/prompts", PROMPT)
    assert_problem(api.get("/prompts/triage", version=9), 404, "unknown_definition")


def test_a_prompt_is_rendered(api: Api) -> None:
    api.post("/prompts", PROMPT)
    answer = api.post("/prompts/triage/render", {"variables": {"ticket": "{{ 1 + 1 }}"}})
    assert answer.json() == {
        "version": 1,
        "messages": [
            {"role": "system", "content": "You sort tickets."},
            {"role": "user", "content": "{{ 1 + 1 }}"},  # never parsed again
        ],
    }


def test_a_missing_variable_is_named(api: Api) -> None:
    api.post("/prompts", PROMPT)
    problem = assert_problem(api.post("/prompts/triage/render", {}), 422, "invalid_request")
    assert problem["errors"][0]["path"] == "messages[1]"
    assert "ticket" in problem["errors"][0]["message"]


def test_saving_is_audited(api: Api) -> None:
    api.post("/prompts", PROMPT)
    assert AuditEntry.objects.filter(action="definition.save", actor="token:test-admin").exists()
