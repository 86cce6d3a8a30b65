"""Secret input fields: where the mark may stand, which values it speaks of, what expressions may do with them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.definitions.checking import told
from workflows.spec import secret_fields

SECRET = {"type": "string", "x-secret": True}


def _workflow(schema: Any, *steps: dict[str, Any], **more: Any) -> str:
    body = {
        "kind": "Workflow",
        "name": "w",
        "input": schema,
        "steps": list(steps) or [{"id": "a", "set": {"v": 1}}],
    }
    return json.dumps({**body, **more})


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def test_the_places_of_secrets_are_those_that_properties_and_items_lead_to() -> None:
    schema = _object(
        card=SECRET,
        customer=_object(pin=SECRET, name={"type": "string"}),
        cards={"type": "array", "items": _object(number=SECRET)},
        keys={"type": "array", "items": {"type": ["string", "null"], "x-secret": True}},
        open={"type": "string", "x-secret": False},
    )
    places = (("card",), ("customer", "pin"), ("cards", None, "number"), ("keys", None))
    assert secret_fields.marked(schema) == places
    given = {
        "card": "4111",
        "customer": {"name": "ann"},
        "cards": [{"number": "a"}, {}, {"number": "b"}],
        "keys": [None, "k"],
    }
    assert secret_fields.texts(given, places) == {
        ("card",): "4111",
        ("cards", 0, "number"): "a",
        ("cards", 2, "number"): "b",
        ("keys", 1): "k",
    }
    assert secret_fields.texts("no object", places) == {}
    assert not told(_workflow(schema))


@pytest.mark.parametrize(
    ("schema", "path", "message"),
    [
        (SECRET, "input.x-secret", "under `properties`"),
        (
            _object(a={"anyOf": [SECRET, {"type": "null"}]}),
            "input.properties.a.anyOf[0].x-secret",
            "anywhere",
        ),
        (
            {"$defs": {"s": SECRET}, **_object(a={"$ref": "#/$defs/s"})},
            "input['$defs'].s.x-secret",
            "anywhere",
        ),
        (
            _object(a={"type": "integer", "x-secret": True}),
            "input.properties.a.x-secret",
            "write a number as",
        ),
        (_object(a={"x-secret": True}), "input.properties.a.x-secret", "needs `type: string`"),
        (_object(a={"type": "string", "x-secret": "yes"}), "input.properties.a.x-secret", "true or false"),
        (_object(a={**SECRET, "default": "4111"}), "input.properties.a.default", "for everybody to read"),
    ],
)
def test_a_mark_that_nobody_could_act_on_is_refused_at_its_place(
    schema: Any, path: str, message: str
) -> None:
    (found,) = told(_workflow(schema))
    assert path in found.path
    assert message in found.message


def test_a_property_may_be_called_as_the_mark_is() -> None:
    assert not told(_workflow(_object(**{"x-secret": {"type": "string"}})))


CARDS = _object(card=SECRET, customer=_object(pin=SECRET), keys={"type": "array", "items": SECRET})


@pytest.mark.parametrize(
    "value",
    [
        "{{ input.card }}",
        "Bearer {{ input.card }}",
        "{{ 'Bearer ' ~ input.card }}",
        "{{ input.card | default(null) }}",
        "{{ input.card if input.card is defined else input.customer.pin }}",
        "{{ {'of': [input.card, input.keys[0]]} }}",
        "{{ input }}{{ input.customer | tojson }}",
        "{% if input.card is defined %}{{ input.card }}{% endif %}",
        "{% for key in input.keys %}{{ key }}{% endfor %}",
    ],
)
def test_a_secret_may_be_passed_on(value: str) -> None:
    assert not told(_workflow(CARDS, {"id": "a", "set": {"v": value}}))


@pytest.mark.parametrize(
    "value",
    [
        "{{ input.card[-4:] }}",
        "{{ input.card | upper }}",
        "{{ input.card | length }}",
        "{{ input.card == '4111' }}",
        "{{ input['card'].split(' ') }}",
        "{{ 1 if input.customer.pin else 2 }}",
        "{{ input.keys[0] ~ 'x' | upper }}{{ input.keys[1] | lower }}",
        "{% if input.card %}yes{% endif %}",
        "{% for letter in input.card %}{{ letter }}{% endfor %}",
    ],
)
def test_nothing_is_computed_with_a_secret(value: str) -> None:
    (found,) = told(_workflow(CARDS, {"id": "a", "set": {"v": value}}))
    assert (found.path, "is secret: expressions see a mask" in found.message) == ("steps[0].set.v", True)


def test_nor_is_it_asked_whether_it_is_true_or_used_as_a_key() -> None:
    asked = {"id": "a", "when": "input.card", "set": {"v": 1}}
    assert "is secret" in told(_workflow(CARDS, asked))[0].message
    assert not told(_workflow(CARDS, {**asked, "when": "input.card is defined"}))
    assert "key of a `session`" in told(_workflow(CARDS, session="{{ input.card }}"))[0].message
    place = {"key": "of {{ input.card }}", "limit": 1}
    assert "key of a `concurrency`" in told(_workflow(CARDS, concurrency=place))[0].message


PROMPT = {"kind": "Prompt", "name": "p", "variables": {"card": {"type": "string"}}}


def test_nor_does_a_prompt_compute_with_a_variable_that_is_given_one() -> None:
    step = {"id": "a", "prompt": "p", "route": "r", "with": {"card": "{{ input.card }}"}}
    for content, problems in (("Card {{ card }}", 0), ("Card {{ card | upper }}", 1)):
        prompt = {**PROMPT, "messages": [{"role": "user", "content": content}]}
        found = [
            each for each in told(_workflow(CARDS, step), json.dumps(prompt)) if "secret" in each.message
        ]
        assert len(found) == problems
    assert found[0].path == "steps[0].with.card"
    assert "in the Prompt 'p'" in found[0].message


def test_no_document_holds_a_secret_in_clear() -> None:
    workflow = _workflow(CARDS)
    schedule = {
        "kind": "Schedule",
        "name": "s",
        "workflow": "w",
        "cron": "0 6 * * *",
        "input": {"card": "4111"},
    }
    (found,) = told(workflow, json.dumps(schedule))
    assert (found.path, "a Schedule is stored in clear" in found.message) == ("input.card", True)
    parent = json.loads(_workflow({"type": "object"}, {"id": "a", "workflow": "w", "with": {"card": "4111"}}))
    (found,) = told(workflow, json.dumps({**parent, "name": "parent"}))
    assert (found.path, "in clear" in found.message) == ("steps[0].with.card", True)


def test_a_mark_where_it_has_no_effect_is_refused() -> None:
    form = {"id": "a", "approval": {"title": "?", "fields": _object(pin=SECRET)}}
    (found,) = told(_workflow({"type": "object"}, form))
    assert (found.path, "has no effect" in found.message) == (
        "steps[0].approval.fields.properties.pin.x-secret",
        True,
    )
    tool = {"kind": "Tool", "name": "t", "input": _object(pin=SECRET), "python": "a:b"}
    assert [each.path for each in told(json.dumps(tool))] == ["input.properties.pin.x-secret"]
