"""Comparisons of texts: right for any two, escaped, and quick for hostile ones."""

import html
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.drawing import line_diff, text_diff
from console.drawing.line_diff import Row

lines = st.lists(
    st.sampled_from(["", "a", "b", "c d", "c e", "d d d", " ", "x y z"]) | st.text(), max_size=30
)
texts = lines.map("\n".join)


def _side(rows: list[Row], side: str) -> str:
    kept = [row for row in rows if getattr(row, f"{side}_number")]
    assert [getattr(row, f"{side}_number") for row in kept] == list(range(1, len(kept) + 1))
    return "\n".join("".join(text for text, _ in getattr(row, side)) for row in kept)


@given(texts, texts)
def test_a_comparison_holds_both_texts_line_by_line_in_order(old: str, new: str) -> None:
    rows = line_diff.compare(old, new)
    assert _side(rows, "old") == old
    assert _side(rows, "new") == new
    for row in rows:
        if row.kind == "same":
            assert row.old == row.new


@given(texts)
def test_a_text_does_not_differ_from_itself(text: str) -> None:
    assert {row.kind for row in line_diff.compare(text, text)} == {"same"}
    assert "same" in text_diff.unified(text, text)


@given(texts, texts)
def test_what_is_drawn_holds_no_markup_of_the_texts(old: str, new: str) -> None:
    for draw in (text_diff.unified, text_diff.split):
        tags = set(re.findall(r"<[^>]*>", draw(old, new)))
        assert all(
            re.fullmatch(r'</?(?:div|span|ins|del|p|details|summary)(?: class="[\w -]+")?>', tag)
            for tag in tags
        )


def test_markup_in_a_text_is_shown_as_text() -> None:
    drawn = text_diff.unified("a", "<script>alert(1)</script>\0\ud800")
    assert "<script" not in drawn
    assert "&lt;script&gt;" in html.unescape(drawn.replace("&lt;", "&amp;lt;").replace("&gt;", "&amp;gt;"))
    assert "\0" not in drawn
    drawn.encode()


def test_words_that_differ_are_marked_and_no_others() -> None:
    rows = line_diff.compare("You sort tickets by age.", "You sort letters by age.")
    assert rows == [
        Row(
            "change", 1, 1,
            (("You sort ", False), ("tickets", True), (" by age.", False)),
            (("You sort ", False), ("letters", True), (" by age.", False)),
        )
    ]  # fmt: skip
    drawn = text_diff.unified("You sort tickets by age.", "You sort letters by age.")
    assert "<del>tickets</del>" in drawn
    assert "<ins>letters</ins>" in drawn


def test_an_inserted_line_does_not_pass_for_a_change_of_its_neighbour() -> None:
    rows = line_diff.compare("Be brief and kind.", "Answer in English.\nBe brief and very kind.")
    assert [row.kind for row in rows] == ["add", "change"]


def test_signs_say_what_colour_says() -> None:
    drawn = text_diff.split("a\nb", "a\nc")
    assert '<span class="diff-sign">−</span><span>b</span>' in drawn
    assert '<span class="diff-sign">+</span><span>c</span>' in drawn


def test_unchanged_stretches_are_folded_but_for_their_ends() -> None:
    long = [f"line {number}" for number in range(40)]
    drawn = text_diff.unified("\n".join([*long, "old", *long]), "\n".join([*long, "new", *long]))
    assert drawn.count("37 unchanged lines") == 2
    shown = re.sub(r"<details.*?</details>", "", drawn)
    assert shown.count("diff-row") == 8


def test_lines_are_counted() -> None:
    assert str(text_diff.counts("a\nb\nc", "a\nB x\nc\nd")) == "+2 −1"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\n" * 20_000, "b\na\n" * 20_000),
        ("a\nb\n" * 10_000, "b\nb\na\n" * 10_000),
        ("\n".join(map(str, range(30_000))), "\n".join(map(str, range(30_000, 0, -1)))),
        ("a b " * 100_000, "b a a " * 100_000),
        ("x" * 3_000_000, "y" * 3_000_000),
        ("\n".join("a b c d " * 200 for _ in range(40)), "\n".join("d c b a " * 200 for _ in range(40))),
    ],
)
def test_hostile_texts_are_compared_in_time_and_drawn_within_bounds(old: str, new: str) -> None:
    began = time.monotonic()
    drawn = text_diff.split(old, new)
    assert time.monotonic() - began < 10
    assert len(drawn) < 3_000_000
