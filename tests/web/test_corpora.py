"""The page of a corpus: documents with reasons, snapshots, and a search in words that help when it fails."""

from __future__ import annotations

import pytest
from django.test import Client

from retrieval import drafts
from tests.db.retrieval import fixtures


@pytest.fixture
def handbook(db: None) -> str:
    fixtures.make_corpus("handbook")
    fixtures.publish(
        "handbook", {"leave.md": "Thirty days of leave a year.", "travel.md": "Trains before planes."}
    )
    return "handbook"


def test_the_list_shows_the_newest_snapshot(operator: Client, handbook: str) -> None:
    page = operator.get("/corpora/").content.decode()
    assert "handbook" in page
    assert "fake/e" in page


def test_documents_that_could_not_be_read_say_why(operator: Client, handbook: str) -> None:
    draft = drafts.open_draft(handbook, actor="test")
    fixtures.put(draft, "empty.md", "")
    page = operator.get("/corpora/handbook/?state=failed").content.decode()
    assert "empty.md" in page
    assert "leave.md" not in page


def test_a_search_shows_what_a_step_would_get(operator: Client, handbook: str) -> None:
    page = operator.get("/corpora/handbook/?q=leave&mode=text").content.decode()
    assert "Thirty days of leave a year." in page
    assert "1 passage of snapshot 1" in page


def test_a_search_whose_provider_is_missing_says_so(operator: Client, handbook: str) -> None:
    page = operator.get("/corpora/handbook/?q=leave").content.decode()
    assert 'role="alert"' in page
    assert "fake" in page.split('role="alert"')[1][:300]


def test_an_empty_corpus_says_what_to_do(operator: Client) -> None:
    fixtures.make_corpus("blank")
    assert b"ingest documents first" in operator.get("/corpora/blank/?q=x").content


def test_many_documents_come_in_pages(operator: Client) -> None:
    fixtures.make_corpus("big")
    fixtures.publish("big", {f"page-{number:03d}.md": f"Text number {number}" for number in range(60)})
    first = operator.get("/corpora/big/").content.decode()
    assert "page-049.md" in first
    assert "page-050.md" not in first
    assert "page-059.md" in operator.get("/corpora/big/?after=page-049.md").content.decode()
    assert "None match." in operator.get("/corpora/big/?name=%00zzz").content.decode()
