"""The page on states is what the tables say."""

from pathlib import Path

from workflows import states

PAGE = Path(__file__).resolve().parents[3] / "docs" / "states.md"


def test_the_page_on_states_is_generated_from_the_tables() -> None:
    assert PAGE.read_text() == states.as_markdown(), "run `make docs`"
