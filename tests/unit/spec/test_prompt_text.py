"""A prompt by itself: variables that it does not use, messages filled in one by one."""

from workflows.spec import prompt_text

BODY = {
    "variables": {"a": {"type": "string"}, "b": {"type": "string", "default": "bee"}, "c": {}},
    "messages": [
        {"role": "system", "content": "{{ b }}!"},
        {"role": "user", "content": "{{ a }}"},
        {"insert": "{{ steps.history.output.value }}"},
        {"role": "user", "content": "{% for x in [1] %}{{ x }}{% endfor %}"},
    ],
}


def test_variables_that_no_message_uses_are_named() -> None:
    assert prompt_text.unused(BODY) == ("c",)
    assert prompt_text.unused({"variables": {"h": {}}, "messages": [{"insert": "{{ h }}"}]}) == ()


def test_a_document_that_cannot_be_read_has_no_unused_variables() -> None:
    assert prompt_text.unused({"variables": 1, "messages": []}) == ()
    assert prompt_text.unused({"variables": {"a": {}}, "messages": [{"role": "user", "content": "{{"}]}) == ()


def test_each_message_is_filled_in_by_itself() -> None:
    filled = prompt_text.fill(BODY, {})
    assert [each.state for each in filled] == ["filled", "failed", "waits", "filled"]
    assert filled[0].text == "bee!"
    assert "'a'" in filled[1].problem or "a" in filled[1].problem
    assert prompt_text.fill(BODY, {"a": {"k": 1}})[1].text == '{"k": 1}'


def test_an_insert_of_a_variable_is_a_list_of_messages_or_an_error() -> None:
    body = {"variables": {"h": {}}, "messages": [{"insert": "{{ h }}"}]}
    given = [{"role": "user", "content": "{{ not again }}"}]
    assert [(each.state, each.text) for each in prompt_text.fill(body, {"h": given})] == [
        ("inserted", "{{ not again }}")
    ]
    assert prompt_text.fill(body, {"h": [1]})[0].state == "failed"
