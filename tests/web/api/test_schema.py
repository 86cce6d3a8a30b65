"""The OpenAPI document is valid, whole, and warns of nothing."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest
from drf_spectacular.drainage import GENERATOR_STATS

from console.api import schema
from tests.web.api.conftest import Api, assert_problem

DOCUMENT = json.loads(schema.document())
OPERATIONS = [
    (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def test_it_is_openapi_3_1_and_made_without_a_warning() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    GENERATOR_STATS.reset()
    schema.document.__wrapped__()
    assert not GENERATOR_STATS._warn_cache, dict(GENERATOR_STATS._warn_cache)
    assert not GENERATOR_STATS._error_cache, dict(GENERATOR_STATS._error_cache)


def test_every_component_is_a_valid_json_schema() -> None:
    for component in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate(component)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_operation_says_how_it_refuses(path: str, method: str, operation: dict) -> None:  # type: ignore[type-arg]
    refusals = operation["responses"]
    assert {"400", "401", "403", "500"} <= set(refusals)
    assert operation["summary"]
    if "{" in path:
        assert "404" in refusals
    if "requestBody" in operation:
        assert {"413", "415", "422"} <= set(refusals)


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(ids) == len(set(ids))


def test_it_needs_a_role(nobody: Api, api: Api) -> None:
    assert_problem(nobody.get("/schema/"), 401, "unauthenticated")
    assert api.get("/schema/").json()["openapi"] == "3.1.0"
