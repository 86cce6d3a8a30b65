"""What expressions and templates give, and what their errors say."""

import contextlib
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.spec import templates
from workflows.spec.templates import TemplateError

SCOPE: dict[str, Any] = {
    "input": {"order": "42", "ids": [3, 1, 2], "items": ["a"], "none": None, "name": "Zoë"},
    "steps": {"triage": {"output": {"severity": 4, "reason": "late"}, "state": "succeeded", "error": None}},
    "run": {"id": "r_1"},
    "session": None,
}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("steps.triage.output.severity >= 4", True),
        ("steps['triage'].output['reason']", "late"),
        ("input.items", ["a"]),
        ("input.items[0]", "a"),
        ("input.items.count('a')", 1),
        ("input.none.deep.er", None),
        ("input.none[0]", None),
        ("input.none == null", True),
        ("session.id", None),
        ("session.id or run.id", "r_1"),
        ("input.absent is defined", False),
        ("input.absent | default('x')", "x"),
        ("input.ids | sort", [1, 2, 3]),
        ("input.ids | map('string') | join('-')", "3-1-2"),
        ("input.ids | select('gt', 1) | list", [3, 2]),
        ("input.ids[1:]", [1, 2]),
        ("(1, 2)", [1, 2]),
        ("range(3)", [0, 1, 2]),
        ("input | items | first", ["order", "42"]),
        ("{'a': [input.order]} | tojson", '{"a": ["42"]}'),
        ("'n=' ~ 1 ~ true ~ null ~ [1]", "n=1truenull[1]"),
        ("1 < 2 < 3 and 3 in input.ids and 'x' not in 'abc'", True),
        ("'Big' if input.ids | length > 2 else 'small'", "Big"),
        ("'%d' | length", 2),
        ("7 // 2 + 2 ** 3 % 5 - -1", 7),
        ("2.5 | round | int", 2),
        ("input.name.upper().startswith('ZO')", True),
        (
            "[{'k': 1, 'v': 'a'}, {'k': 1, 'v': 'b'}] | groupby('k')",
            [[1, [{"k": 1, "v": "a"}, {"k": 1, "v": "b"}]]],
        ),
    ],
)
def test_expression_gives_a_native_value(expression: str, value: Any) -> None:
    assert templates.evaluate(expression, SCOPE) == value


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ input.order }}", "42"),
        ("{{ input.ids }}", [3, 1, 2]),
        ("{{ input.ids }}\n", [3, 1, 2]),
        (" {{ input.order }}", " 42"),
        ("Order {{ input.order }}: {{ input.ids }}", "Order 42: [3, 1, 2]"),
        ("{{ true }} and {{ null }}", "true and null"),
        ("plain } text {", "plain } text {"),
        ("line\n{{ input.order }}\n", "line\n42\n"),
        (
            "{% for i in input.ids %}{{ loop.index }}={{ i }}{% if not loop.last %}, {% endif %}{% endfor %}",
            "1=3, 2=1, 3=2",
        ),
        ("{% set total = input.ids | sum %}{{ total }}", "6"),
        ("{% raw %}{{ input.order }}{% endraw %}", "{{ input.order }}"),
        ({"a": ["{{ input.order }}", 1], "{{ key }}": None}, {"a": ["42", 1], "{{ key }}": None}),
    ],
)
def test_template_keeps_the_type_of_a_lone_expression(template: Any, value: Any) -> None:
    assert templates.render(template, SCOPE) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("steps.triage.output.severty", "steps.triage.output has no key 'severty'; it has: reason, severity"),
        (
            "steps.triage.output.severty > 3",
            "steps.triage.output has no key 'severty'; it has: reason, severity",
        ),
        ("inputs.order", "there is no name 'inputs' here"),
        ("input.ids[9]", "input.ids has no item 9; it has 3"),
        ("input.ids.first", "input.ids is a list; it has no key 'first'"),
        ("run.id.x", "run.id is a text; it has no key 'x'"),
        ("input.order | uper", "there is no filter `uper` here; did you mean `upper`?"),
        ("input.order is nummber", "there is no test `nummber` here; did you mean `number`?"),
        ("1 < 'a'", "a number cannot be ordered against a text"),
        ("'a' + 1", "`+` cannot work on a text and a number"),
        ("input.order | int + input.name | int", '"Zoë" is not a whole number'),
        ("'x' if false", "inline if-expression"),
        ("{1: 2}", "a key of a mapping must be text"),
        ("{{ input.order }}", "a bare expression is needed here"),
        ("input.order input", "there is more after the expression"),
        ("input.", "expected name or number"),
        ("", "it ends too early"),
        ("1 / 0", "division by zero"),
        ("1e308 * 10", "is not a finite number"),
        ("input.order.append(1)", "it has no method 'append'"),
        ("[] | first", "`first` of an empty list"),
    ],
)
def test_error_says_what_is_wrong(expression: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        templates.evaluate(expression, SCOPE)

    assert message in caught.value.message
    assert caught.value.expression == expression


def test_names_are_found_through_filters_loops_and_items() -> None:
    template = (
        "{% for x in steps.a.output | map(attribute='steps') %}{{ x }}{{ steps['b'].state }}{% endfor %}"
        "{{ input.q }}"
    )

    names = templates.names_in({"k": [template]})

    assert names.steps == {"a", "b"}
    assert names.roots == {"steps", "input"}
    assert ("input", "q") in names.paths


@pytest.mark.parametrize("expression", ["steps[input.x]", "steps", "steps | length", "steps[0].output"])
def test_step_that_is_not_named_outright_is_refused(expression: str) -> None:
    with pytest.raises(TemplateError, match="named outright"):
        templates.names_of(expression)


@given(st.text())
def test_rendered_text_is_never_parsed_again(text: str) -> None:
    assert templates.render("{{ t }}", {"t": text}) == text
    assert templates.render("<{{ t }}>", {"t": text}) == f"<{text}>"


@given(JSON)
def test_any_json_value_passes_through_unchanged(value: Any) -> None:
    assert templates.evaluate("v", {"v": value}) == value


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_an_error(text: str) -> None:
    for act in (templates.evaluate, templates.render):
        with contextlib.suppress(TemplateError):
            act(text, SCOPE)


def test_threads_share_compiled_templates() -> None:
    seen: list[Any] = []

    def work(number: int) -> None:
        seen.append(
            [templates.render("{{ n }}/{{ m[n % 3] }}", {"n": n + number, "m": [1, 2, 3]}) for n in range(50)]
        )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 8
