"""What a value that fits a schema looks like."""

from __future__ import annotations

from typing import Any

import pytest

from workflows.spec import outline


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (
            {"type": "object", "properties": {"id": {"type": "string"}, "n": {"type": "integer"}}},
            {"id": "…", "n": 0},
        ),
        ({"properties": {"on": {"type": "boolean"}, "x": {}}}, {"on": False, "x": None}),
        ({"type": "array", "items": {"type": "number"}}, [0]),
        ({"type": "array"}, []),
        ({"enum": ["red", "green"]}, "red"),
        ({"const": 3}, 3),
        ({"type": "string", "examples": ["p-1"]}, "p-1"),
        ({"type": "integer", "default": 7}, 7),
        ({"type": ["string", "null"]}, "…"),
        ({"oneOf": [{"type": "object", "properties": {"a": {"const": 1}}}, {"type": "null"}]}, {"a": 1}),
        ({"$ref": "#/$defs/x"}, None),
        (True, None),
        ({"type": []}, None),
        ({"type": "no such type"}, None),
        ({"anyOf": []}, None),
    ],
)
def test_every_key_is_there_with_something_of_its_type(schema: Any, expected: Any) -> None:
    assert outline.of(schema) == expected


def test_a_schema_that_nests_for_ever_has_an_end() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    schema["properties"]["inner"] = schema
    told, depth = outline.of(schema), 0
    while told:
        told, depth = told["inner"], depth + 1
    assert 3 < depth < 10


def test_a_schema_with_thousands_of_keys_is_cut() -> None:
    schema = {"properties": {f"k{n}": {"type": "string"} for n in range(5000)}}
    assert len(outline.of(schema)) < 100
