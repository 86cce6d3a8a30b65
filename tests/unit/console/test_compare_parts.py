"""The parts of a comparison: ranks of documents, and texts taken out of the JSON that holds them."""

from __future__ import annotations

from typing import Any

import pytest

from console.views import compare_parts
from console.views.compare_parts import Text
from workflows.replay.diff import Side, StepPair


def side(**given: Any) -> Side:
    nothing: dict[str, Any] = dict.fromkeys(Side.__dataclass_fields__)
    return Side(**{**nothing, "state": "succeeded", "documents": (), **given})


def texts(aspect: str, left: Any, right: Any) -> list[Text]:
    pair = StepPair(
        path="a",
        kind="prompt",
        left=side(**{aspect: left}),
        right=side(**{aspect: right}),
        differences=(),
    )
    return compare_parts.texts(pair, aspect)


def test_documents_say_what_moved_came_and_went() -> None:
    left = ["h/a.md@1", "h/b.md@1", "h/c.md@1", "h/d.md@2"]
    right = ["h/a.md@1", "h/c.md@1", "h/b.md@1", "h/e.md@1"]
    rows = compare_parts.ranked(left, right)
    assert [(row.name, row.left, row.right, row.change) for row in rows] == [
        ("h/a.md@1", 1, 1, ""),
        ("h/b.md@1", 2, 3, "down 1"),
        ("h/c.md@1", 3, 2, "up 1"),
        ("h/d.md@2", 4, None, "went"),
        ("h/e.md@1", None, 4, "came"),
    ]
    assert rows[3].address == "/corpora/h/document/?name=d.md&revision=2"


@pytest.mark.parametrize("name", ["handbook/1234", "imported:handbook/1234", "imported:h/a.md@1"])
def test_what_is_gone_or_of_elsewhere_has_no_page(name: str) -> None:
    assert compare_parts.home("revision", name) == ""


def test_messages_are_compared_as_texts_and_the_rest_as_json() -> None:
    left: dict[str, Any] = {
        "messages": [
            {"role": "system", "content": "Be kind.\nBe brief."},
            {"role": "user", "content": "Who?"},
        ],
        "route": "chat",
        "params": {"temperature": 1},
    }
    right = {
        **left,
        "messages": [left["messages"][0], {"role": "user", "content": "Who\nelse?"}],
        "params": {"temperature": 0},
    }
    message, rest = texts("input", left, right)
    assert message == Text("Message 2, user", "Who?", "Who\nelse?")
    assert rest.title == "The rest of it, as JSON"
    assert '"temperature": 1' in rest.left
    assert "messages" not in rest.left


def test_another_role_of_a_message_is_a_part_of_its_text() -> None:
    left, right = ({"messages": [{"role": role, "content": "Hi."}]} for role in ("system", "user"))
    assert texts("input", left, right) == [Text("Message 1, system then user", "system:\nHi.", "user:\nHi.")]
    more = {"messages": [{"role": "user", "content": "Hi."}, {"role": "user", "content": "You?"}]}
    assert texts("input", right, more) == [Text("Message 2, user", "", "You?")]
    calls = {"messages": [{"role": "user", "content": "Hi.", "tool_calls": [{"id": 1}]}]}
    (only,) = texts("input", right, calls)
    assert "tool_calls" in only.right


def test_a_text_output_is_a_text_and_a_value_stays_json() -> None:
    assert texts("output", {"text": "a\nb"}, {"text": "a\nc"}) == [Text("text", "a\nb", "a\nc")]
    assert texts("output", "a\nb", None) == [Text("", "a\nb", "")]
    (only,) = texts("output", {"v": {"n": 1}}, {"v": {"n": 2}})
    assert (only.title, '"n": 2' in only.right) == ("", True)
    assert texts("output", {"v": {"n": 1}}, {"v": {"n": 1}}) == []


def test_long_texts_are_taken_out_wherever_they_stand() -> None:
    left, right = ({"chunks": [{"text": f"{'word ' * 30}{end}"}]} for end in ("a", "b"))
    (only,) = texts("output", left, right)
    assert only.title == "chunks[0].text"
    assert (only.left[-1], only.right[-1]) == ("a", "b")


def test_a_prompt_that_was_written_for_a_fork_says_so() -> None:
    assert texts("prompt", "greet@1", "greet@0") == [Text("", "greet@1", "greet, written for the fork")]
