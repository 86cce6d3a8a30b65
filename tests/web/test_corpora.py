"""Corpora: the list, the tabs of one, a document, snapshots and going back, all in words that help when it fails."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from console.models import Role
from retrieval import drafts, snapshots
from retrieval.models import Corpus, Document, DocumentVersion
from tests import example_runs, factories
from tests.db.retrieval import fixtures
from workflows import curation
from workflows.actor import Actor
from workflows.models import AuditEntry, Lineage
from workflows.queries import corpora as queries

FRAGMENT = {"HX-Request": "true"}
EDITH = Actor(kind="user", name="edith")
TABS = ("documents", "ingests", "snapshots", "search", "settings")


@pytest.fixture
def handbook(db: None) -> str:
    fixtures.make_corpus("handbook")
    fixtures.publish(
        "handbook", {"leave.md": "Thirty days of leave a year.", "travel.md": "Trains before planes."}
    )
    return "handbook"


@pytest.fixture
def editor(client: Client, db: None) -> Client:
    client.force_login(factories.user(Role.EDITOR, "edith"))
    return client


def _unreadable(corpus: str, name: str = "empty.md") -> None:
    draft = drafts.open_draft(corpus, actor="test")
    fixtures.put(draft, name, "")
    drafts.abandon(draft)


def test_the_list_shows_what_a_corpus_holds(operator: Client, handbook: str) -> None:
    fixtures.make_corpus("blank")
    _unreadable(handbook)
    page = operator.get("/corpora/").content.decode()
    row = page[page.index('data-href="/corpora/handbook/"') :]
    for text in ("1 unreadable", "fake/e", "no workflow"):
        assert text in row
    assert "never" in page[: page.index('data-href="/corpora/handbook/"')]


def test_the_list_says_how_to_make_the_first_one(operator: Client) -> None:
    assert b"No corpora yet" in operator.get("/corpora/").content


def test_the_list_takes_the_same_queries_however_many_there_are(
    operator: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for name in ("a", "b", "c"):
        fixtures.make_corpus(name)
        fixtures.publish(name, {"x.md": f"Text of {name}"})
    # Session and person, corpora, heads, failed, corpora and their sizes, ingests, deployments.
    with django_assert_num_queries(9):
        operator.get("/corpora/")


@pytest.mark.parametrize("tab", TABS)
def test_a_tab_of_an_empty_corpus_says_what_to_do(viewer: Client, tab: str) -> None:
    fixtures.make_corpus("blank")
    page = viewer.get(f"/corpora/blank/?tab={tab}").content.decode()
    assert 'aria-current="page"' in page
    assert "Adding documents needs the role editor or higher" in page


def test_documents_that_could_not_be_read_stand_first_and_say_why(operator: Client, handbook: str) -> None:
    _unreadable(handbook, "zebra.md")
    page = operator.get("/corpora/handbook/").content.decode()
    assert page.index("zebra.md") < page.index("leave.md")
    assert page.count(">zebra.md<") == 1
    assert "it is empty" in page
    only = operator.get("/corpora/handbook/?state=failed").content.decode()
    assert "zebra.md" in only
    assert "leave.md" not in only


def test_many_documents_come_in_pages(
    operator: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    fixtures.make_corpus("big")
    fixtures.publish("big", {f"page-{number:03d}.md": f"Text number {number}" for number in range(60)})
    # Session and person, corpus (4), documents (2), stats (3), the newest ingest.
    with django_assert_num_queries(12):
        first = operator.get("/corpora/big/").content.decode()
    assert "page-049.md" in first
    assert "page-050.md" not in first
    assert "page-059.md" in operator.get("/corpora/big/?after=page-049.md").content.decode()
    assert "None match." in operator.get("/corpora/big/?name=%00zzz").content.decode()


def test_a_search_shows_what_a_step_would_get(operator: Client, handbook: str) -> None:
    page = operator.get("/corpora/handbook/?q=leave&mode=text").content.decode()
    assert "Thirty days of <mark>leave</mark> a year." in page
    assert "1 passage of snapshot 1 · text · exact" in page
    assert "characters 0–28" in page
    assert "searched in" in page
    assert "name=leave.md&amp;revision=1&amp;passage=0#passage" in page


def test_a_search_of_an_older_snapshot(operator: Client, handbook: str) -> None:
    fixtures.publish(handbook, {"leave.md": "No leave at all."})
    newest = operator.get("/corpora/handbook/?q=leave&mode=text").content.decode()
    assert "No <mark>leave</mark> at all." in newest
    older = operator.get("/corpora/handbook/?q=leave&mode=text&snapshot=1").content.decode()
    assert "Thirty days" in older


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("q=leave", "fake"),
        ("q=leave&mode=text&filter=nonsense", "The filter is not JSON"),
        ("q=leave&mode=text&filter=[1]", "has to be a JSON object"),
        ("q=leave&mode=text&snapshot=99", "has no snapshot 99; the newest is 1"),
    ],
)
def test_a_search_that_cannot_be_done_says_so_at_the_box(
    operator: Client, handbook: str, query: str, says: str
) -> None:
    page = operator.get(f"/corpora/handbook/?{query}").content.decode()
    assert says in page.split('role="alert"')[1][:400]
    assert 'value="leave"' in page


def test_an_empty_corpus_says_what_to_do(operator: Client) -> None:
    fixtures.make_corpus("blank")
    assert b"ingest documents first" in operator.get("/corpora/blank/?q=x").content


def test_a_document_shows_text_passages_and_the_runs_that_read_it(operator: Client, handbook: str) -> None:
    made = example_runs.succeeded_run(number=1, title="Asked about leave")
    version = DocumentVersion.objects.get(document__name="leave.md")
    Lineage.objects.create(
        run=made.run, step_run=made.steps["search"], kind="document", ref=f"handbook/{version.pk}"
    )
    page = operator.get("/corpora/handbook/document/?name=leave.md&passage=0").content.decode()
    assert '<mark id="passage">Thirty days of leave a year.</mark>' in page
    assert "1 run</a></h2>" in page
    assert "/runs/r_0000000000001/?step=search" in page
    assert operator.get("/corpora/handbook/document/text/?name=leave.md").content.startswith(b"Thirty")


def test_a_long_document_is_shown_in_part(operator: Client) -> None:
    fixtures.make_corpus("long")
    fixtures.publish("long", {"a.txt": "All of it counts. " * 5000})
    page = operator.get("/corpora/long/document/?name=a.txt")
    assert b"Characters 0 to 20,000 are shown." in page.content
    assert len(page.content) < 120_000


@pytest.mark.parametrize("asked", ["name=nope", "name=", "name=leave.md&revision=9", "name=%00"])
def test_a_document_that_is_not_there(operator: Client, handbook: str, asked: str) -> None:
    assert operator.get(f"/corpora/handbook/document/?{asked}").status_code == 404


def test_hostile_names_and_texts_are_escaped(operator: Client) -> None:
    fixtures.make_corpus("bad")
    fixtures.publish("bad", {"<img src=x>&?#.md": "<script>alert(1)</script> leave"})
    fixtures.publish("bad", {"<img src=x>&?#.md": "<script>alert(1)</script> leave it"})
    for address in (
        "/corpora/bad/",
        "/corpora/bad/?q=leave&mode=text",
        "/corpora/bad/document/?name=%3Cimg%20src%3Dx%3E%26%3F%23.md&passage=0",
        "/corpora/bad/snapshots/2/?document=%3Cimg%20src%3Dx%3E%26%3F%23.md",
    ):
        page = operator.get(address).content.decode()
        assert "<img src=x>" not in page
        assert "<script>alert" not in page
        assert "%3Cimg%20src%3Dx%3E%26%3F%23.md" in page or "<mark id" in page


def test_removing_a_document_asks_first_and_publishes_a_snapshot(editor: Client, handbook: str) -> None:
    address = "/corpora/handbook/document/remove/?name=leave.md"
    asked = editor.get(address, headers=FRAGMENT).content.decode()
    assert "1 passage fewer to find" in asked
    assert "<html" in editor.get(address).content.decode()
    answer = editor.post(address, {"reason": "outdated"})
    assert answer["Location"] == "/corpora/handbook/"
    assert snapshots.get(handbook, 2).documents == 1
    assert Document.objects.get(name="leave.md").state == "removed"
    entry = AuditEntry.objects.get(action="corpus.remove_documents")
    assert (entry.reason, entry.data["documents"], entry.data["snapshot"]) == ("outdated", ["leave.md"], 2)
    assert b"No leave" not in editor.get("/corpora/handbook/?q=leave&mode=text").content


def test_a_document_that_was_never_read_can_be_dismissed(editor: Client, handbook: str) -> None:
    _unreadable(handbook)
    editor.post("/corpora/handbook/document/remove/?name=empty.md")
    assert Document.objects.get(name="empty.md").state == "removed"
    assert snapshots.head(handbook) == 1


def test_nothing_is_removed_while_an_ingest_is_under_way(editor: Client, handbook: str) -> None:
    drafts.open_draft(handbook, actor="r_another")
    answer = editor.post(
        "/corpora/handbook/document/remove/?name=leave.md", {"reason": "typed"}, headers=FRAGMENT
    )
    assert answer.status_code == 409
    assert "has a draft" in answer.content.decode()
    assert 'value="typed"' in answer.content.decode()
    assert not AuditEntry.objects.exists()


def test_snapshots_say_what_they_changed(operator: Client, handbook: str) -> None:
    fixtures.publish(handbook, {"leave.md": "None.", "new.md": "New text.", "travel.md": None})
    page = operator.get("/corpora/handbook/?tab=snapshots").content.decode()
    newest = page[page.index('snapshots/2/"') : page.index('snapshots/1/"')]
    for text in ("+1", "~1", "−1", "in use"):
        assert text in newest
    assert "+2" in page


def test_two_snapshots_are_compared_down_to_the_text(operator: Client, handbook: str) -> None:
    fixtures.publish(handbook, {"leave.md": "Forty days of leave a year.", "new.md": "x"})
    page = operator.get("/corpora/handbook/snapshots/2/?document=leave.md").content.decode()
    assert "<del>Thirty</del> days of leave a year." in page
    assert "<ins>Forty</ins> days of leave a year." in page
    split = operator.get("/corpora/handbook/snapshots/2/?document=leave.md&as=split").content.decode()
    assert "diff-split" in split
    only = operator.get("/corpora/handbook/snapshots/2/?kind=added").content.decode()
    assert "new.md" in only
    assert ">leave.md<" not in only
    back = operator.get("/corpora/handbook/snapshots/1/?against=2&document=new.md").content.decode()
    assert "removed" in back
    assert b"The first snapshot" in operator.get("/corpora/handbook/snapshots/1/").content
    assert operator.get("/corpora/handbook/snapshots/77/").status_code == 404


def test_texts_that_are_too_large_are_not_compared(operator: Client) -> None:
    fixtures.make_corpus("long")
    for word in ("one", "two"):
        fixtures.publish("long", {"a.txt": f"{word} and more of it. " * 12_000})
    page = operator.get("/corpora/long/snapshots/2/?document=a.txt").content.decode()
    assert "too large to be compared here" in page


def test_going_back_asks_for_a_reason_and_publishes_an_equal_snapshot(editor: Client, handbook: str) -> None:
    fixtures.publish(handbook, {"leave.md": "Wrong."})
    address = "/corpora/handbook/snapshots/1/rollback/"
    asked = editor.get(address, headers=FRAGMENT).content.decode()
    assert "0 added, 1 changed, 0 removed" in asked
    refused = editor.post(address, {"reason": " "}, headers=FRAGMENT)
    assert refused.status_code == 409
    assert snapshots.head(handbook) == 2
    done = editor.post(address, {"reason": "it misled people"}, headers=FRAGMENT)
    assert done["HX-Redirect"] == "/corpora/handbook/?tab=snapshots"
    assert snapshots.get(handbook, 3).root_hash == snapshots.get(handbook, 1).root_hash
    assert AuditEntry.objects.get(action="corpus.rollback").reason == "it misled people"
    again = editor.post(address, {"reason": "x"}, headers=FRAGMENT)
    assert again.status_code == 409
    assert "already equals snapshot 1" in again.content.decode()


def test_a_draft_of_a_corpus_that_people_publish_waits_for_one(editor: Client, handbook: str) -> None:
    Corpus.objects.filter(name=handbook).update(publish="manual")
    curation.remove_documents(handbook, ["leave.md"], actor=EDITH, reason="")
    assert snapshots.head(handbook) == 1
    page = editor.get("/corpora/handbook/?tab=snapshots").content.decode()
    assert "waits to be published: 0 new or changed, 1 removed" in page
    assert "1 removed" in editor.get("/corpora/handbook/publish/").content.decode()
    editor.post("/corpora/handbook/publish/", {"reason": "checked"})
    assert snapshots.get(handbook, 2).documents == 1
    assert AuditEntry.objects.get(action="corpus.publish").reason == "checked"
    assert editor.post("/corpora/handbook/publish/").status_code == 409


@pytest.mark.parametrize(
    "address",
    [
        "document/remove/?name=leave.md",
        "snapshots/1/rollback/",
        "publish/",
        "upload/",
        "paste/",
        "sources/",
    ],
)
def test_an_operator_may_look_but_not_change(operator: Client, handbook: str, address: str) -> None:
    for answer in (
        operator.get(f"/corpora/handbook/{address}"),
        operator.post(f"/corpora/handbook/{address}"),
    ):
        assert answer.status_code == 403
    assert snapshots.head(handbook) == 1


def test_the_workflows_that_search_it_are_named(operator: Client, handbook: str) -> None:
    made = factories.release()
    made.manifest["corpora"] = {"handbook": 1}
    made.save()
    assert queries.used_by("handbook") == ("docs-assistant",)
    assert b"docs-assistant" in operator.get("/corpora/handbook/?tab=settings").content
