"""JSON Schemas that authors write, and values against them."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.spec.test_documents import JSON
from workflows.spec import schema
from workflows.spec.schema import SchemaError

ORDER = {
    "type": "object",
    "required": ["order"],
    "additionalProperties": False,
    "properties": {
        "order": {"type": "string", "minLength": 2, "x-secret": True},
        "lines": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/line"}},
        "mode": {"enum": ["fast", "slow"]},
        "when": {"format": "date-time"},
        "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    },
    "$defs": {"line": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}},
}


@pytest.mark.parametrize(
    ("value", "errors"),
    [
        ({"order": "42"}, ()),
        (
            {"order": "42", "lines": [{"n": 1}], "mode": "fast", "when": "2025-01-31T09:30:00Z", "either": 1},
            (),
        ),
        ([], (("", "must be a mapping"),)),
        ({}, (("", "needs the key `order`"),)),
        ({"order": "s"}, (("order", "must have at least 2 characters"),)),
        ({"order": 42}, (("order", "must be text"),)),
        ({"order": "42", "mdoe": 1}, (("mdoe", "unknown key; did you mean `mode`?"),)),
        ({"order": "42", "mode": "x"}, (("mode", "must be one of fast, slow"),)),
        ({"order": "42", "when": "soon"}, (("when", "is not a time such as 2025-01-31T09:30:00Z"),)),
        (
            {"order": "42", "lines": [{"n": 0}, {"n": "x"}, {}]},
            (
                ("lines", "must have at most 2 items"),
                ("lines[0].n", "must be at least 1"),
                ("lines[1].n", "must be a whole number"),
            ),
        ),
        (
            {"order": "42", "either": []},
            (("either", "fits none of the allowed forms: must be text; or must be a whole number"),),
        ),
    ],
)
def test_value_gets_paths_and_plain_words(value: Any, errors: Any) -> None:
    assert schema.errors(ORDER, value) == errors


def test_messages_never_show_the_value() -> None:
    strict = {"type": "object", "additionalProperties": {"enum": ["a"], "pattern": "^b$", "maxLength": 2}}

    found = schema.errors(strict, {"k": "hunter2"})

    assert len(found) == 3
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"type": "strin"}, "type: must be one of the JSON types"),
        ({"properties": []}, "properties: must be a mapping"),
        (3, "must be true or false or a mapping"),
        ({"pattern": "("}, "pattern: is not a pattern that can be matched in linear time"),
        ({"pattern": "(?=a)b"}, "pattern: is not a pattern that can be matched in linear time"),
        ({"pattern": "(a{1000}){1000}"}, "pattern: is not a pattern that can be matched in linear time"),
        ({"pattern": "a" * 2_000}, "pattern: a pattern may have 1,000 characters"),
        ({"$ref": "#"}, "a reference may only name a part of this schema"),
        ({"$ref": "http://127.0.0.1/x"}, "a reference may only name a part of this schema"),
        ({"$ref": "file:///etc/hosts"}, "a reference may only name a part of this schema"),
        ({"$ref": "#/$defs/a"}, "'#/$defs/a' is not a part of this schema"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}, "goes in a circle"),
        ({"properties": {"enum": {"$ref": "#/properties/enum"}}}, "goes in a circle"),
        ({"$dynamicRef": "#x"}, "`$dynamicRef` is not allowed here"),
        ({"$schema": "http://example.com/x"}, "the `$schema` is not one that we know"),
    ],
)
def test_schema_that_cannot_be_used_is_refused(wrong: Any, error: str) -> None:
    ((path, message),) = schema.problems_of_schema(wrong)

    assert error in str(SchemaError(path, message))
    with pytest.raises(SchemaError):
        schema.errors(wrong, 1)


def _doubled(depth: int) -> dict[str, Any]:
    parts = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(depth)}
    return {"$ref": "#/$defs/a0", "$defs": {**parts, f"a{depth}": {"type": "string"}}}


def _nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"items": found}
    return found


@pytest.mark.parametrize(
    ("hostile", "value"),
    [
        (_doubled(30), 1),
        (_nested(90), 1),
        (_nested(5_000), 1),
        ({"pattern": "^(a+)+$"}, "a" * 100_000 + "b"),
        ({"uniqueItems": True}, [[n] for n in range(20_000)]),
        ({"items": {"type": "string"}}, list(range(20_000))),
        ({}, "\ud800"),
        ({"type": "integer", "maximum": 5}, 10**400),
        ({"type": "number"}, float("nan")),
        ({"type": "array"}, json.loads("[" * 900 + "]" * 900)),
    ],
)
def test_hostile_schema_or_value_ends_soon(hostile: Any, value: Any) -> None:
    started = time.thread_time()

    try:
        found = schema.errors(hostile, value)
    except SchemaError as error:
        found = (("", error.message),)

    assert len(found) <= schema.MAX_ERRORS
    assert time.thread_time() - started < 1.5


KEYWORDS = [
    "type",
    "properties",
    "items",
    "enum",
    "const",
    "$ref",
    "pattern",
    "anyOf",
    "minimum",
    "required",
    "$defs",
]


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(KEYWORDS), JSON, max_size=4) | JSON, JSON)
def test_any_schema_is_used_or_refused(any_schema: Any, value: Any) -> None:
    if schema.problems_of_schema(any_schema):
        with pytest.raises(SchemaError):
            schema.errors(any_schema, value)
    else:
        schema.errors(any_schema, value)
