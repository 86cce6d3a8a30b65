"""Documents into drafts, drafts into snapshots: repeated, crashed and refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval import corpora, ingest, snapshots, statements
from retrieval.errors import RetrievalError
from retrieval.ingest import SourceDocument
from retrieval.models import Change, Chunk, Document, DocumentVersion, Snapshot, Span
from tests.db.retrieval import fixtures
from tests.db.retrieval.fixtures import CountingEmbed, embed, make_corpus, publish, put

pytestmark = pytest.mark.django_db

LONG = " ".join(f"Sentence number {n} says something of its own." for n in range(60))


def test_publishing_makes_a_snapshot_with_its_figures() -> None:
    make_corpus()

    snapshot = publish("handbook", {"a.md": "Refunds take ten days.", "b.txt": LONG})

    assert snapshot is not None
    assert (snapshot.number, snapshot.state, snapshot.documents) == (1, "published", 2)
    assert snapshot.chunks == Span.objects.count() > 5
    assert snapshots.head("handbook") == 1
    assert [one.state for one in corpora.documents("handbook")] == ["processed", "processed"]


def test_the_same_content_again_changes_nothing() -> None:
    make_corpus()
    publish("handbook", {"a": "one two three"})
    counting = CountingEmbed()
    draft = ingest.open_draft("handbook", actor="again")

    report = ingest.add_document(draft, SourceDocument("a", "text/plain", b"one two three"), counting)

    assert (report.state, report.revision, report.chunks) == ("unchanged", 1, 1)
    assert counting.texts == []
    assert ingest.publish(draft) is None
    assert snapshots.head("handbook") == 1
    assert ingest.publish(draft) is None


def test_other_content_of_a_name_replaces_it_in_the_next_snapshot_only() -> None:
    make_corpus()
    publish("handbook", {"a": "old words"})

    second = publish("handbook", {"a": "new words"})

    assert second is not None
    assert (second.documents, second.chunks) == (1, 1)
    bodies = {
        number: [
            Chunk.objects.get(chunk_id=span.chunk_id).body
            for span in Span.objects.filter(added__lte=number, removed__gt=number)
        ]
        for number in (1, 2)
    }
    assert bodies == {1: ["old words"], 2: ["new words"]}
    assert DocumentVersion.objects.count() == 2


def test_content_that_comes_back_is_the_old_revision() -> None:
    make_corpus()
    for text in ("first", "second", "first"):
        publish("handbook", {"a": text})

    [document] = corpora.documents("handbook")

    assert document.version is not None
    assert (document.version.number, DocumentVersion.objects.count()) == (1, 2)
    assert snapshots.get("handbook", 1).root_hash == snapshots.get("handbook", 3).root_hash


def test_the_last_content_in_a_draft_wins() -> None:
    make_corpus()
    publish("handbook", {"a": "base"})
    draft = ingest.open_draft("handbook", actor="x")
    for text in ("one", "two", "one", "two"):
        put(draft, "a", text)
    put(draft, "b", "soon gone")
    ingest.remove_document(draft, "b")

    snapshot = ingest.publish(draft)

    assert snapshot is not None
    assert (snapshot.documents, snapshot.chunks) == (1, 1)
    assert snapshots.verify(snapshot)


def test_going_back_to_the_base_in_a_draft_leaves_nothing_to_publish() -> None:
    make_corpus()
    publish("handbook", {"a": "base", "b": "kept"})
    draft = ingest.open_draft("handbook", actor="x")
    put(draft, "a", "other")
    put(draft, "a", "base")
    ingest.remove_document(draft, "b")
    put(draft, "b", "kept")

    assert ingest.publish(draft) is None
    assert Span.objects.filter(added=draft.number).count() == 0


def test_metadata_alone_makes_a_revision_without_new_vectors() -> None:
    make_corpus()
    draft = ingest.open_draft("handbook", actor="x")
    put(draft, "a", "text", product="x")
    ingest.publish(draft)
    counting = CountingEmbed()
    draft = ingest.open_draft("handbook", actor="y")

    report = ingest.add_document(
        draft, SourceDocument("a", "text/plain", b"text", metadata={"product": "y"}), counting
    )

    assert (report.state, report.revision, counting.texts) == ("processed", 2, [])
    assert Chunk.objects.count() == 1


def test_texts_are_embedded_once_across_corpora() -> None:
    make_corpus("one")
    make_corpus("two")
    counting = CountingEmbed()
    for name in ("one", "two"):
        draft = ingest.open_draft(name, actor="x")
        ingest.add_document(draft, SourceDocument("a", "text/plain", LONG.encode()), counting)

    assert len(counting.texts) == len(set(counting.texts)) == Chunk.objects.count() / 2


def test_a_crash_while_embedding_is_continued() -> None:
    make_corpus(tokens=5)
    words = " ".join(f"Short sentence {n}." for n in range(400)).encode()
    seen: list[str] = []

    def failing(texts: Sequence[str]) -> NDArray[np.float32]:
        if len(seen) > 100:
            raise ConnectionError("away")
        seen.extend(texts)
        return embed(texts)

    draft = ingest.open_draft("handbook", actor="x")
    with pytest.raises(ConnectionError):
        ingest.add_document(draft, SourceDocument("a", "text/plain", words), failing)
    counting = CountingEmbed()
    report = ingest.add_document(draft, SourceDocument("a", "text/plain", words), counting)

    assert report.state == "processed"
    assert not set(seen) & set(counting.texts)
    assert len(seen) + len(counting.texts) == report.chunks


@pytest.mark.parametrize("step", ["insert_chunks", "insert_spans", "drop_document", "share_draft"])
def test_a_crash_at_any_statement_leaves_nothing_torn(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_corpus()
    publish("handbook", {"a": LONG})
    draft = ingest.open_draft("handbook", actor="x")

    def crash(*args: object, **kwargs: object) -> None:
        raise SystemError("crashed")

    with monkeypatch.context() as patched:
        patched.setattr(statements, step, crash)
        with pytest.raises(SystemError):
            put(draft, "a", LONG + " More.")
    assert Span.objects.filter(added=draft.number).count() == 0
    put(draft, "a", LONG + " More.")
    snapshot = ingest.publish(draft)

    assert snapshot is not None
    assert snapshots.verify(snapshot)
    assert snapshot.documents == 1


def test_a_bad_document_is_reported_and_the_rest_goes_on() -> None:
    make_corpus()
    publish("handbook", {"a": "readable"})
    draft = ingest.open_draft("handbook", actor="x")

    bad = ingest.add_document(draft, SourceDocument("a", "application/pdf", b"not a pdf"), embed)
    worse = ingest.add_document(draft, SourceDocument("new.txt", "", b"a\0b"), embed)
    put(draft, "b", "fine")
    snapshot = ingest.publish(draft)

    assert (bad.state, worse.state) == ("failed", "failed")
    assert "not a PDF" in bad.reason
    assert snapshot is not None
    assert snapshot.documents == 2
    states = {
        one.name: (one.state, one.version and one.version.number) for one in corpora.documents("handbook")
    }
    assert states == {"a": ("failed", 1), "b": ("processed", 1), "new.txt": ("failed", None)}
    log = {change.document.name: change.action for change in snapshots.changes("handbook", snapshot.number)}
    assert log == {"a": "failed", "b": "put", "new.txt": "failed"}


def test_a_failed_document_recovers_with_its_old_content() -> None:
    make_corpus()
    publish("handbook", {"a": "readable"})
    draft = ingest.open_draft("handbook", actor="x")
    ingest.add_document(draft, SourceDocument("a", "text/plain", b""), embed)

    put(draft, "a", "readable")

    [document] = corpora.documents("handbook")
    assert (document.state, document.reason) == ("processed", "")
    assert ingest.publish(draft) is None


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("", {}),
        ("x" * 600, {}),
        ("nul\0", {}),
        ("\udcff.txt", {}),
        ("a", {"x": "\0"}),
        ("a", {"x": "\ud800"}),
        ("a", {"x": float("nan")}),
        ("a", {"x": "y" * 20_000}),
        ("a", {"x": object()}),
    ],
)
def test_bad_names_and_metadata_are_reported(name: str, metadata: dict[str, object]) -> None:
    make_corpus()
    draft = ingest.open_draft("handbook", actor="x")

    report = ingest.add_document(draft, SourceDocument(name, "text/plain", b"text", metadata), embed)

    assert report.state == "failed"
    assert report.reason


def test_emoji_and_backslashes_are_welcome() -> None:
    make_corpus()
    draft = ingest.open_draft("handbook", actor="x")

    assert put(draft, "😀 \\u0000.txt", "Grüße 😀 \\u0000", note="😀\\u0000").state == "processed"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (np.zeros((1, 8), dtype=np.float32), "wrong_dimensions"),
        (np.zeros((2, 16), dtype=np.float32), "wrong_dimensions"),
        (np.full((1, 16), np.nan, dtype=np.float32), "wrong_embedding"),
        (np.full((1, 16), np.inf, dtype=np.float32), "wrong_embedding"),
    ],
)
def test_a_wrong_embedding_is_refused(answer: NDArray[np.float32], code: str) -> None:
    make_corpus()
    draft = ingest.open_draft("handbook", actor="x")

    with pytest.raises(RetrievalError) as caught:
        ingest.add_document(draft, SourceDocument("a", "text/plain", b"text"), lambda texts: answer)

    assert caught.value.code == code
    assert Span.objects.count() == 0


def test_a_draft_is_resumed_by_its_actor_and_closed_to_others() -> None:
    make_corpus()
    draft = ingest.open_draft("handbook", actor="ingest-1")

    assert ingest.open_draft("handbook", actor="ingest-1") == draft
    with pytest.raises(RetrievalError, match=r"ingest-1 opened.*abandon it") as caught:
        ingest.open_draft("handbook", actor="ingest-2")
    assert caught.value.code == "draft_open"


def test_a_closed_draft_takes_no_documents() -> None:
    make_corpus()
    draft = ingest.open_draft("handbook", actor="x")
    put(draft, "a", "text")
    snapshot = ingest.publish(draft)

    assert ingest.publish(draft) == snapshot
    for attempt in (
        lambda: put(draft, "b", "late"),
        lambda: ingest.remove_document(draft, "a"),
        lambda: ingest.abandon(draft),
    ):
        with pytest.raises(RetrievalError) as caught:
            attempt()
        assert caught.value.code == "draft_closed"


def test_an_abandoned_draft_leaves_no_rows() -> None:
    make_corpus()
    publish("handbook", {"a": "kept"})
    draft = ingest.open_draft("handbook", actor="x")
    put(draft, "a", "other")
    put(draft, "b", "new")
    ingest.abandon(draft, reason="operator said so")
    ingest.abandon(draft)

    assert Span.objects.count() == 1
    assert Snapshot.objects.get(number=2).reason == "operator said so"
    assert {one.name: one.state for one in Document.objects.all()} == {"a": "processed", "b": "removed"}
    third = publish("handbook", {"c": "more"})
    assert third is not None
    assert third.number == 3
    assert (third.documents, snapshots.verify(third)) == (2, True)


def test_removing_documents() -> None:
    make_corpus()
    publish("handbook", {"a": "one", "b": "two"})
    draft = ingest.open_draft("handbook", actor="x")

    assert ingest.remove_document(draft, "a") is True
    assert ingest.remove_document(draft, "a") is False
    with pytest.raises(RetrievalError, match="no document 'zzz'"):
        ingest.remove_document(draft, "zzz")
    snapshot = ingest.publish(draft)

    assert snapshot is not None
    assert (snapshot.documents, snapshot.chunks) == (1, 1)
    assert {one.name: one.state for one in Document.objects.all()} == {"a": "removed", "b": "processed"}
    assert Change.objects.filter(number=2, action="remove").count() == 1


def test_files_are_ingested_and_refused_ones_reported(tmp_path: Path) -> None:
    make_corpus()
    root, outside = tmp_path / "root", tmp_path / "secret.txt"
    root.mkdir()
    outside.write_text("secret")
    (root / "a.md").write_text("# Title\n\nHello there.")
    (root / "link.txt").symlink_to(outside)
    draft = ingest.open_draft("handbook", actor="x")

    reports = {
        file.name: ingest.add_file(draft, file, embed, roots=[root])
        for file in ingest.list_sources(["**/*"], roots=[root])
    }

    assert {name: one.state for name, one in reports.items()} == {"a.md": "processed", "link.txt": "failed"}
    assert "leads out of the allowed folders" in reports["link.txt"].reason
    assert corpora.documents("handbook", contains="A.M").get().version is None


def test_a_corpus_without_name_or_with_content_of_another_embedding_is_refused() -> None:
    with pytest.raises(RetrievalError) as caught:
        ingest.open_draft("nowhere", actor="x")
    assert caught.value.code == "unknown_corpus"
    make_corpus()
    make_corpus(dims=8)
    assert corpora.get("handbook").dims == 8
    make_corpus(dims=fixtures.DIMS)
    publish("handbook", {"a": "text"})
    with pytest.raises(RetrievalError) as caught:
        make_corpus(dims=8)
    assert caught.value.code == "embedding_changed"


def test_new_chunk_sizes_hold_from_the_next_ingest() -> None:
    make_corpus(tokens=40)
    first = publish("handbook", {"a": LONG})
    make_corpus(tokens=20)

    second = publish("handbook", {"a": LONG})

    assert first is not None
    assert second is not None
    assert second.chunks > first.chunks
    assert first.chunker_hash != second.chunker_hash


def test_lists_and_figures_for_screens() -> None:
    make_corpus()
    publish("handbook", {"a": "one", "b": "two"})

    [listed] = corpora.listed()
    assert listed.head is not None
    stats = corpora.stats("handbook")

    assert (listed.corpus.name, listed.head.number, listed.head.documents, listed.head.chunks) == (
        "handbook",
        1,
        2,
        2,
    )
    assert (stats.head, stats.documents, stats.chunks, stats.failed) == (1, 2, 2, 0)
    assert stats.bytes > 0
    assert [one.name for one in corpora.documents("handbook", state="processed")] == ["a", "b"]
