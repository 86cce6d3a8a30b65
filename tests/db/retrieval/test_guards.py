"""What the database itself refuses, whoever asks."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from retrieval import ingest, snapshots
from retrieval.models import OPEN_END, Corpus, Snapshot, Span
from tests.db.retrieval.fixtures import make_corpus, publish, put

pytestmark = pytest.mark.django_db


@pytest.fixture
def corpus() -> Corpus:
    """Two snapshots: document a in both, b in the first only; and a draft, number 3, with c."""
    made = make_corpus()
    publish("handbook", {"a": "one", "b": "two"})
    publish("handbook", {"b": None})
    put(ingest.open_draft("handbook", actor="x"), "c", "three")
    return made


def refused(statement: str, *params: str | int | None) -> str:
    """Run a statement that must fail; return the database's message."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, params)
    return str(caught.value)


INSERT = """
INSERT INTO retrieval_span
SELECT corpus_id, %s, %s, chunk_id, document_id, doc_version_id, ordinal + 10, start, stop
FROM retrieval_span LIMIT 1
"""


@pytest.mark.parametrize("number", [1, 2, 4, 99])
def test_spans_are_added_to_a_draft_only(corpus: Corpus, number: int) -> None:
    assert "added to a draft only" in refused(INSERT, number, OPEN_END)


def test_a_span_starts_open(corpus: Corpus) -> None:
    assert "added to a draft only" in refused(INSERT, 3, 4)


def test_an_abandoned_draft_takes_no_spans(corpus: Corpus) -> None:
    ingest.abandon(ingest.open_draft("handbook", actor="x"))

    assert "is abandoned" in refused(INSERT, 3, OPEN_END)


@pytest.mark.parametrize(
    "change",
    [
        "chunk_id = chunk_id + 1",
        "added = added + 1",
        "ordinal = ordinal + 1",
        "doc_version_id = doc_version_id + 1",
        "removed = 2",  # not publishing
        "removed = 3",
        "removed = 99",
    ],
)
def test_the_only_change_of_a_span_is_its_closing_by_a_publish(corpus: Corpus, change: str) -> None:
    assert "only change of a span" in refused(f"UPDATE retrieval_span SET {change}")  # noqa: S608


def test_a_closed_span_stays_closed(corpus: Corpus) -> None:
    closed = "WHERE removed = 2"

    assert Span.objects.filter(removed=2).count() == 1
    refused(f"UPDATE retrieval_span SET removed = {OPEN_END} {closed}")  # noqa: S608
    refused(f"UPDATE retrieval_span SET removed = 3 {closed}")  # noqa: S608


def test_a_span_that_a_published_snapshot_sees_is_not_deleted(corpus: Corpus) -> None:
    assert "still sees" in refused("DELETE FROM retrieval_span WHERE added = 1")
    assert "still sees" in refused("DELETE FROM retrieval_span WHERE removed = 2")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM retrieval_span WHERE added = 3")
        assert cursor.rowcount == 1


def test_a_span_of_collected_snapshots_may_go(corpus: Corpus) -> None:
    Snapshot.objects.filter(number=1).update(state="collected")

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM retrieval_span WHERE removed = 2")
        assert cursor.rowcount == 1
    assert "still sees" in refused("DELETE FROM retrieval_span WHERE added = 1")


def test_the_guards_hold_in_the_partitions_too(corpus: Corpus) -> None:
    spans, chunks = f"retrieval_span_{corpus.id}", f"retrieval_chunk_{corpus.id}"

    assert "still sees" in refused(f"DELETE FROM {spans} WHERE added = 1")  # noqa: S608
    assert "only change" in refused(f"UPDATE {spans} SET removed = 3")  # noqa: S608
    assert "never change" in refused(f"UPDATE {chunks} SET body = 'x'")  # noqa: S608
    assert "added to a draft only" in refused(
        INSERT.replace("retrieval_span\n", f"{spans}\n", 1), 2, OPEN_END
    )


def test_chunks_and_versions_never_change(corpus: Corpus) -> None:
    assert "never change" in refused("UPDATE retrieval_chunk SET body = 'other'")
    assert "never change" in refused("UPDATE retrieval_chunk SET emb = emb")
    assert "never change" in refused("UPDATE retrieval_documentversion SET text = 'other'")


def test_a_chunk_in_use_is_not_deleted(corpus: Corpus) -> None:
    assert "foreign key" in refused("DELETE FROM retrieval_chunk")


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (1, "draft"),
        (1, "publishing"),
        (1, "abandoned"),
        (3, "published"),
        (3, "collected"),
        (3, "abandoned"),  # while it has spans
        (2, "nonsense"),
    ],
)
def test_snapshots_move_along_their_states_only(corpus: Corpus, number: int, state: str) -> None:
    refused("UPDATE retrieval_snapshot SET state = %s WHERE number = %s", state, number)


@pytest.mark.parametrize(
    "change", ["root_hash = 'x'", "chunks = 9", "documents = 9", "number = 9", "base = 0"]
)
def test_a_published_snapshot_never_changes(corpus: Corpus, change: str) -> None:
    refused(f"UPDATE retrieval_snapshot SET {change} WHERE number = 1")  # noqa: S608


def test_snapshots_are_not_deleted(corpus: Corpus) -> None:
    assert "are kept" in refused("DELETE FROM retrieval_snapshot WHERE number = 1")


@pytest.mark.parametrize(("number", "state"), [(4, "published"), (2, "draft"), (4, "draft")])
def test_a_corpus_has_one_draft_with_the_highest_number(corpus: Corpus, number: int, state: str) -> None:
    refused(
        "INSERT INTO retrieval_snapshot (corpus_id, number, state, actor, reason, model, chunker_hash, root_hash,"
        " documents, chunks, created_at) VALUES (%s, %s, %s, '', '', '', '', '', 0, 0, now())",
        corpus.id,
        number,
        state,
    )


@pytest.mark.parametrize("head", [None, 1, 3, 7])
def test_the_head_moves_forward_to_published_snapshots_only(corpus: Corpus, head: int | None) -> None:
    assert "moves forward" in refused("UPDATE retrieval_corpus SET head = %s", head)


def test_a_draft_below_the_head_is_not_published(corpus: Corpus) -> None:
    # What a rollback that forgot the open draft would do.
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE retrieval_corpus DISABLE TRIGGER retrieval_head_guard")
        cursor.execute("UPDATE retrieval_corpus SET head = 5")

    refused("UPDATE retrieval_snapshot SET state = 'publishing' WHERE number = 3")


@pytest.mark.parametrize("size", [8, 17])
def test_a_vector_of_another_size_is_refused(corpus: Corpus, size: int) -> None:
    message = refused(
        "INSERT INTO retrieval_chunk (corpus_id, model, text_sha, body, emb)"
        " VALUES (%s, 'm', 'sha', 'body', array_fill(1, ARRAY[%s])::real[]::halfvec)",
        corpus.id,
        size,
    )

    assert "_dims" in message


def test_a_ledger_that_does_not_fit_its_spans_is_not_published(corpus: Corpus) -> None:
    draft = ingest.open_draft("handbook", actor="x")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM retrieval_span WHERE added = 3")

    with pytest.raises(RuntimeError, match="inconsistent"), transaction.atomic():
        ingest.publish(draft)
    assert snapshots.head("handbook") == 2
