"""Four connections at once: drafts, publishes, rollbacks, abandoned drafts, pinned readers. Nothing torn."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import pytest
from django.db import IntegrityError, connection, transaction

from retrieval import corpora, ingest, search, snapshots
from retrieval.errors import RetrievalError
from retrieval.models import Chunk, Corpus, Document, Snapshot, Span
from tests.db.retrieval.fixtures import make_corpus, publish, put, vector
from tests.threads import DatabaseThreads

pytestmark = pytest.mark.django_db(transaction=True)

DOCUMENTS: Final = 5
PASSAGES: Final = 6
SECONDS: Final = 6.0
PATIENCE_S: Final = 60.0  # for what has not happened by then, on a machine that does other work
# What one actor may hear when another was faster.
EXPECTED: Final = frozenset({"draft_open", "draft_closed", "already_current", "unknown_document"})


def text(name: str, tag: int) -> str:
    """Write a document whose passages each carry the tag of their version."""
    return "\n\n".join(f"{name} passage {n} of version tag{tag} " + "word " * 12 for n in range(PASSAGES))


def whole(corpus: Corpus, number: int) -> dict[str, str]:
    """Return name → tag of every document in a snapshot; fail where one is torn."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT document.name, array_agg(chunk.body ORDER BY span.ordinal) FROM retrieval_span AS span"
            " JOIN retrieval_chunk AS chunk USING (corpus_id, chunk_id)"
            " JOIN retrieval_document AS document ON document.id = span.document_id"
            " WHERE span.corpus_id = %s AND span.added <= %s AND span.removed > %s GROUP BY document.name",
            [corpus.id, number, number],
        )
        rows = cursor.fetchall()
    seen = {}
    for name, bodies in rows:
        tags = {body.split("tag")[1].split()[0] for body in bodies}
        assert len(bodies) == PASSAGES, f"{name} in snapshot {number} has {len(bodies)} passages"
        assert len(tags) == 1, f"{name} in snapshot {number} mixes {tags}"
        seen[name] = tags.pop()
    return seen


class Load:
    """Actors on their own connections, until the time is over and each thing of `least` was done so often."""

    def __init__(self, **least: int) -> None:
        self.begun, self.least = time.monotonic(), least
        self.counts: dict[str, int] = {}
        self.lock = threading.Lock()

    def run(self, *actors: Callable[[random.Random], str]) -> None:
        with DatabaseThreads(len(actors)) as pool:
            for future in [pool.submit(self._loop, actor, seed) for seed, actor in enumerate(actors)]:
                future.result()

    def _loop(self, actor: Callable[[random.Random], str], seed: int) -> None:
        chance = random.Random(seed)
        while self._goes_on():
            try:
                done = actor(chance)
            except RetrievalError as error:
                if error.code not in EXPECTED:
                    raise
                done = error.code
            with self.lock:
                self.counts[done] = self.counts.get(done, 0) + 1

    def _goes_on(self) -> bool:
        lasted = time.monotonic() - self.begun
        lacking = any(self.counts.get(what, 0) < often for what, often in self.least.items())
        return lasted < SECONDS or (lacking and lasted < PATIENCE_S)


@pytest.fixture
def handbook() -> Iterator[Corpus]:
    corpus = make_corpus(tokens=30)
    publish("handbook", {f"d{n}": text(f"d{n}", 0) for n in range(DOCUMENTS)})
    yield corpus
    for state in ("draft", "publishing"):
        assert Snapshot.objects.filter(state=state).count() <= 1


def test_readers_never_see_a_torn_document(handbook: Corpus) -> None:
    load = Load(read=11, published=2, **{"rolled back": 2})
    remembered: dict[int, tuple[dict[str, str], str]] = {}

    def ingester(chance: random.Random) -> str:
        draft = ingest.open_draft("handbook", actor=chance.choice(["one", "two"]))
        for _ in range(chance.randint(1, 4)):
            name = f"d{chance.randrange(DOCUMENTS)}"
            if chance.random() < 0.2:
                with suppress(RetrievalError):
                    ingest.remove_document(draft, name)
            else:
                put(draft, name, text(name, chance.randrange(6)))
        if chance.random() < 0.3:
            ingest.abandon(draft)
            return "abandoned"
        return "published" if ingest.publish(draft) else "unchanged"

    def operator(chance: random.Random) -> str:
        numbers = [one.number for one in snapshots.published("handbook")]
        snapshots.rollback("handbook", chance.choice(numbers), actor="ada")
        time.sleep(0.05)
        return "rolled back"

    def reader(chance: random.Random) -> str:
        head = snapshots.head("handbook")
        assert head is not None
        number = chance.choice([head, chance.choice(list(remembered) or [head])])
        seen = whole(handbook, number)
        query = "passage version tag3"
        found = search.search("handbook", snapshot=number, query=query, query_vector=vector(query))
        if number in remembered:
            assert remembered[number] == (seen, found.result_sha), f"snapshot {number} changed"
        remembered[number] = seen, found.result_sha
        return "read"

    load.run(ingester, ingester, operator, reader)

    assert load.counts["read"] > 10
    assert load.counts["published"] > 1
    assert load.counts["rolled back"] > 1
    check_afterwards(handbook, {number: seen for number, (seen, _) in remembered.items()})


def check_afterwards(handbook: Corpus, remembered: dict[int, dict[str, str]]) -> None:
    """Every snapshot still holds what was read of it, and every rollback equals what it went back to."""
    for number, seen in remembered.items():
        assert whole(handbook, number) == seen
        assert snapshots.verify(snapshots.get("handbook", number))
    for back in Snapshot.objects.filter(copy_of__isnull=False):
        assert back.copy_of is not None
        assert back.root_hash == snapshots.get("handbook", back.copy_of).root_hash
        assert whole(handbook, back.number) == whole(handbook, back.copy_of)


def test_different_documents_are_added_to_one_draft_at_once(handbook: Corpus) -> None:
    draft = ingest.open_draft("handbook", actor="bulk")
    names = [f"new{n}" for n in range(24)]

    def add(name: str) -> str:
        # Texts are shared, in different orders: the same chunks are written by several at once.
        shared = " ".join(text(f"d{n}", 9) for n in random.Random(name).sample(range(6), 6))
        return put(draft, name, shared).state

    with DatabaseThreads(4) as pool:
        states = list(pool.map(add, names * 2))
    snapshot = ingest.publish(draft)

    assert set(states) <= {"processed", "unchanged"}
    assert snapshot is not None
    assert snapshot.documents == DOCUMENTS + len(names)
    assert snapshots.verify(snapshot)
    assert Span.objects.filter(added=2, ordinal=0).count() == len(names)


def test_one_document_added_by_four_at_once_is_one_version(handbook: Corpus) -> None:
    draft = ingest.open_draft("handbook", actor="bulk")

    def add(_: int) -> str:
        return put(draft, "same", text("same", 1)).state

    with DatabaseThreads(4) as pool:
        assert set(pool.map(add, range(12))) <= {"processed", "unchanged"}
    assert Document.objects.get(name="same").versions.count() == 1
    assert Span.objects.filter(added=draft.number).count() == PASSAGES


def test_a_late_writer_is_refused_not_torn(handbook: Corpus) -> None:
    """A worker that was frozen in the middle of its write wakes up after the draft was abandoned."""
    draft = ingest.open_draft("handbook", actor="slow")
    span = Span.objects.filter(corpus=handbook).values().first()
    assert span is not None
    waiting, abandoned = threading.Event(), threading.Event()

    def frozen() -> str:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                waiting.set()
                abandoned.wait(10)
                cursor.execute(
                    "INSERT INTO retrieval_span VALUES (%s, %s, 2147483647, %s, %s, %s, 0, 0, 1)",
                    [
                        handbook.id,
                        draft.number,
                        span["chunk_id"],
                        span["document_id"],
                        span["doc_version_id"],
                    ],
                )
        except IntegrityError as error:
            return str(error)
        return "written"

    with DatabaseThreads(1) as pool:
        future = pool.submit(frozen)
        waiting.wait(10)
        ingest.abandon(draft)
        abandoned.set()
        assert "is abandoned" in future.result()


def test_publishing_waits_for_a_writer_in_the_middle(handbook: Corpus) -> None:
    draft = ingest.open_draft("handbook", actor="x")
    put(draft, "early", text("early", 1))
    inside, go_on = threading.Event(), threading.Event()

    def writer() -> None:
        with transaction.atomic():
            put(draft, "slow", text("slow", 1))
            inside.set()
            go_on.wait(10)

    def publisher() -> Snapshot | None:
        return ingest.publish(draft)

    with DatabaseThreads(2) as pool:
        writing = pool.submit(writer)
        assert inside.wait(10)
        publishing = pool.submit(publisher)
        time.sleep(0.3)
        assert not publishing.done()
        go_on.set()
        writing.result()
        snapshot = publishing.result()
    assert snapshot is not None
    assert whole(handbook, snapshot.number).keys() >= {"early", "slow"}


def test_two_openers_get_one_draft(handbook: Corpus) -> None:
    def opened(actor: str) -> object:
        try:
            return ingest.open_draft("handbook", actor=actor)
        except RetrievalError as error:
            return error.code

    with DatabaseThreads(4) as pool:
        same = set(pool.map(opened, ["a"] * 8))
        other = set(pool.map(opened, ["b"] * 4))
    assert len(same) == 1
    assert other == {"draft_open"}


def test_two_makers_of_a_corpus_make_one(handbook: Corpus) -> None:
    def made(_: int) -> int:
        return make_corpus("fresh").id

    with DatabaseThreads(4) as pool:
        assert len(set(pool.map(made, range(4)))) == 1
    assert publish("fresh", {"a": "text"}) is not None
    assert Chunk.objects.filter(corpus=corpora.get("fresh")).count() == 1
