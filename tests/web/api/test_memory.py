"""`/memory/SCOPE/KEY`."""

from __future__ import annotations

import pytest

from tests.web.api.conftest import Api, assert_problem
from workflows.models import AuditEntry, Environment


@pytest.fixture(autouse=True)
def _production(transactional_db: None) -> None:
    Environment.objects.get_or_create(name="production")


def test_a_value_is_written_read_and_versioned(api: Api) -> None:
    assert_problem(api.get("/memory/global/rules"), 404, "unknown_memory")
    first = api.post("/memory/global/rules", {"value": {"a": 1}}, headers={"If-Match": "0"})
    assert (first.status_code, first.json()["version"], first["ETag"]) == (200, 1, '"1"')
    api.post("/memory/global/rules", {"value": [2], "reason": "better"}, headers={"If-Match": '"1"'})
    assert api.get("/memory/global/rules").json()["value"] == [2]
    assert api.get("/memory/global/rules", version=1).json()["value"] == {"a": 1}
    versions = api.get("/memory/global/rules/versions").json()["results"]
    assert [(each["version"], each["operation"], each["reason"]) for each in versions] == [
        (2, "write", "better"),
        (1, "write", ""),
    ]
    assert AuditEntry.objects.filter(action="memory.write").count() == 2


def test_a_version_that_is_not_the_newest_is_refused(api: Api) -> None:
    api.post("/memory/session:ada/name", {"value": "Ada"})
    late = api.post("/memory/session:ada/name", {"value": "Eve"}, headers={"If-Match": "0"})
    assert_problem(late, 409, "memory_changed")
    assert api.get("/memory/session:ada/name").json()["value"] == "Ada"
    assert_problem(
        api.post("/memory/session:ada/name", {"value": 1}, headers={"If-Match": "x"}), 422, "invalid_request"
    )


@pytest.mark.parametrize("scope", ["world", "workflow:", "session:"])
def test_a_scope_that_does_not_exist(api: Api, scope: str) -> None:
    assert_problem(api.get(f"/memory/{scope}/a"), 422, "memory_place_invalid")


def test_keys_may_hold_slashes_and_environments_are_apart(api: Api) -> None:
    Environment.objects.create(name="staging")
    api.post("/memory/global/a/b", {"value": 1})
    assert api.get("/memory/global/a/b").json()["key"] == "a/b"
    assert_problem(api.get("/memory/global/a/b", environment="staging"), 404, "unknown_memory")
    assert_problem(api.get("/memory/global/a/b", environment="none"), 404, "unknown_environment")
