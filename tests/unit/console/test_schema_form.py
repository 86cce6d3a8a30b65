"""Forms made from JSON Schemas."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from console.forms import resolve_form, run_filter, schema_form

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["question"],
    "properties": {
        "audience": {"enum": ["beginner", 3, None], "default": 3},
        "question": {"type": "string", "title": "Your question", "minLength": 3},
        "name": {"type": "string", "maxLength": 40},
        "count": {"type": "integer", "minimum": 1, "default": 2},
        "share": {"type": "number"},
        "loud": {"type": "boolean"},
        "tags": {"type": "array"},
        "key": {"type": "string", "x-secret": True},
    },
}
FIELDS = schema_form.fields(SCHEMA)


def _read(**typed: str) -> schema_form.Typed:
    return schema_form.read(FIELDS, {f"input.{name}": text for name, text in typed.items()})


def test_each_property_gets_the_control_that_fits_and_needed_ones_stand_first() -> None:
    assert {field.name: field.control for field in FIELDS} == {
        "question": "text",
        "audience": "choice",
        "name": "line",
        "count": "number",
        "share": "number",
        "loud": "check",
        "tags": "json",
        "key": "secret",
    }
    assert FIELDS[0].name == "question"
    assert FIELDS[0].label == "Your question"
    assert FIELDS[0].hint == "At least 3 characters"
    assert next(field for field in FIELDS if field.name == "count").value == "2"


def test_what_was_typed_becomes_values_of_the_right_types() -> None:
    typed = _read(
        question="Why?\r\nWell?", audience="3", count="4", share="0.5", loud="1", tags='["a"]', name=""
    )
    assert typed.value == {
        "question": "Why?\nWell?",
        "audience": 3,
        "count": 4,
        "share": 0.5,
        "loud": True,
        "tags": ["a"],
    }
    assert not typed.problems


def test_an_empty_text_that_is_needed_is_sent_so_that_the_schema_judges_it() -> None:
    assert _read(question="").value == {"question": "", "loud": False}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("count", "three", "A whole number is expected."),
        ("share", "nan", "A number is expected."),
        ("share", "1e999", "A number is expected."),
        ("tags", "{not", "Not JSON: Expecting property name"),
        ("tags", "[NaN]", "NaN is no JSON value"),
        ("tags", "[" * 100_000, "nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_told_at_its_field(name: str, text: str, told: str) -> None:
    assert told in _read(question="Why?", **{name: text}).problems[name]


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"type": "array"}, {"properties": []}])
def test_a_schema_without_properties_gets_one_field_for_all(schema: dict[str, Any]) -> None:
    asked = schema_form.fields(schema)
    assert [field.control for field in asked] == ["json"]
    assert schema_form.read(asked, {"input.__input__": '{"a": [1]}'}).value == {"a": [1]}


def test_errors_of_the_schema_are_sorted_to_their_fields() -> None:
    errors = [
        ("question", "too short"),
        ("tags[2].name", "is no text"),
        ("", "one is missing"),
        ("zzz", "odd"),
    ]
    placed, rest = schema_form.by_field(errors, FIELDS)
    assert placed == {"question": ["too short"], "tags": ["2/name: is no text"]}
    assert rest == ["one is missing", "zzz: odd"]


def test_an_earlier_input_fills_the_form_but_for_secrets() -> None:
    earlier = {"question": "Why?", "loud": True, "tags": [1], "key": "hush", "gone": 1}
    filled = {field.name: field for field in schema_form.prefilled(FIELDS, earlier)}
    assert filled["question"].value == "Why?"
    assert filled["loud"].checked
    assert json.loads(filled["tags"].value) == [1]
    assert filled["key"].value == ""
    assert schema_form.prefilled(FIELDS, "no object") == FIELDS


values = st.fixed_dictionaries(
    {
        "question": st.text(min_size=1).filter(lambda text: "\r" not in text),
        "count": st.integers(-(10**15), 10**15),
        "share": st.floats(allow_nan=False, allow_infinity=False),
        "loud": st.booleans(),
        "tags": st.lists(st.text() | st.integers() | st.booleans() | st.none()),
        "audience": st.sampled_from(["beginner", 3]),
    }
)


@given(values)
def test_a_value_survives_the_way_through_the_form(value: dict[str, Any]) -> None:
    filled = schema_form.prefilled(FIELDS, value)
    posted = {field.key: ("1" if field.checked else "") or field.value for field in filled}
    assert schema_form.read(FIELDS, posted).value == value


def test_what_was_typed_goes_into_the_fields_of_another_schema() -> None:
    other = schema_form.fields(
        {
            "properties": {
                "question": {"enum": ["Why?", "How?"]},
                "audience": {"type": "string", "maxLength": 20},
                "count": {"type": "string"},
                "loud": {"type": "boolean", "default": True},
                "fresh": {"type": "boolean", "default": True},
                "share": {"enum": [0.5]},
            }
        }
    )
    posted = {"input.question": "Why?", "input.audience": "3", "input.count": "many", "input.share": "0.7"}
    carried = {each.name: each for each in schema_form.carried(FIELDS, other, posted)}
    assert carried["question"].value == '"Why?"'
    assert (carried["audience"].value, carried["count"].value) == ("3", "many")
    assert (carried["loud"].checked, carried["fresh"].checked) == (False, True)
    assert carried["share"].value == ""
    assert carried["share"].errors == ("0.7 cannot be chosen here.",)
    assert [
        each.label for each in schema_form.unasked(other, {**posted, "input.key": "k", "input.name": " "})
    ] == ["Key"]


def test_a_secret_goes_into_no_other_form_whichever_of_them_says_that_it_is_one() -> None:
    secret = schema_form.fields({"properties": {"pin": {"type": "string", "x-secret": True}}})
    plain = schema_form.fields({"properties": {"pin": {"type": "string"}}})
    for before, after, posted in (
        (secret, plain, {"secret.pin": "97531"}),
        (plain, secret, {"input.pin": "97531"}),
        (secret, secret, {"secret.pin": "97531"}),
    ):
        (shown,) = schema_form.carried(before, after, posted)
        assert shown.value == ""
        assert not schema_form.unasked(after, posted)


@given(st.dictionaries(st.sampled_from([each.key for each in FIELDS]), st.text()))
def test_any_text_at_all_stays_as_it_is_in_the_same_fields(posted: dict[str, str]) -> None:
    for each in schema_form.carried(FIELDS, FIELDS, posted):
        text = posted.get(each.key, "")
        if each.control == "check":
            assert each.checked == bool(text)
        else:
            assert each.value == text or each.errors


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_any_schema_at_all_gives_a_form(schema: object) -> None:
    if isinstance(schema, dict):
        schema_form.fields(schema)


@given(st.dictionaries(st.sampled_from(["q", "state", "range", "workflow", "after"]), st.text()))
def test_any_address_is_a_filter_and_its_own_address_means_the_same(sent: dict[str, str]) -> None:
    asked = QueryDict(mutable=True)
    asked.update(sent)
    query = run_filter.parse(asked)
    again = run_filter.parse(QueryDict(query.address()[1:]))
    assert (again.view, again.range, again.values) == (query.view, query.range, query.values)


def test_settling_needs_a_reason_and_json() -> None:
    assert not resolve_form.read({"step": "pay"}).problems
    form = resolve_form.read({"step": "pay", "action": "supply", "output": "{", "reason": " "})
    assert set(form.problems) == {"reason", "output"}
    assert "action" in resolve_form.read({"action": "explode", "reason": "x"}).problems
