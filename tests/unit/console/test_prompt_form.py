"""Templates drawn, and what the page of a prompt sends."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.drawing import template_text
from console.forms import prompt_form
from console.forms.prompt_form import ValuesError


@given(st.text() | st.just("a {{ b }} <i>{% if x %}</i>"))
def test_a_drawn_template_holds_no_markup_of_its_own(text: str) -> None:
    assert "<" not in re.sub(r"</?mark>", "", template_text.marked(text))


def test_what_a_template_puts_in_is_marked() -> None:
    drawn = template_text.marked("Hi {{ name }}, {# no #}{% if a %}<b>")
    assert drawn == ("Hi <mark>{{ name }}</mark>, <mark>{# no #}</mark><mark>{% if a %}</mark>&lt;b&gt;")


@given(st.text())
def test_typed_values_are_an_object_or_refused(text: str) -> None:
    with contextlib.suppress(ValuesError):
        assert isinstance(prompt_form.typed_values(text), dict)


@pytest.mark.parametrize("text", ["[" * 100_000, "1", '"x"', "{,}"])
def test_values_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(ValuesError):
        prompt_form.typed_values(text)
