"""Published snapshots: pinned reads, rollback, diff, and any sequence of all that against a plain model."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from retrieval import corpora, ingest, search, snapshots
from retrieval.errors import RetrievalError
from retrieval.models import Chunk, Document, Snapshot, Span
from tests.db.retrieval.fixtures import make_corpus, publish, put

pytestmark = pytest.mark.django_db


def contents(corpus: str, number: int) -> dict[str, str]:
    """Return name → text of every document that a snapshot sees, put together from its passages."""
    row = corpora.get(corpus)
    bodies = dict(Chunk.objects.filter(corpus=row).values_list("chunk_id", "body"))
    seen = Span.objects.filter(corpus=row, added__lte=number, removed__gt=number).select_related("document")
    texts: dict[str, str] = {}
    for span in seen.order_by("document_id", "ordinal"):
        texts[span.document.name] = texts.get(span.document.name, "") + bodies[span.chunk_id]
    return texts


def test_nothing_published_later_is_visible() -> None:
    make_corpus()
    publish("handbook", {"a": "common one", "b": "common two"})
    before = contents("handbook", 1)
    publish("handbook", {"a": "common changed", "b": None, "c": "common new"})
    put(ingest.open_draft("handbook", actor="x"), "d", "common draft")

    found = search.search("handbook", snapshot=1, query="common", mode="text")
    assert {hit.document: hit.text for hit in found.hits} == before
    assert contents("handbook", 1) == before == {"a": "common one", "b": "common two"}
    assert contents("handbook", 2) == {"a": "common changed", "c": "common new"}


def test_a_rollback_publishes_an_equal_snapshot() -> None:
    make_corpus()
    first = publish("handbook", {"a": "common one", "b": "common two"})
    publish("handbook", {"a": "common other", "c": "common three", "b": None})
    draft = ingest.open_draft("handbook", actor="nightly")
    put(draft, "d", "common never")

    back = snapshots.rollback("handbook", 1, actor="ada")

    assert first is not None
    assert (back.number, back.copy_of, back.state) == (4, 1, "published")
    assert (back.root_hash, back.documents, back.chunks) == (first.root_hash, first.documents, first.chunks)
    assert snapshots.verify(back)
    assert contents("handbook", 4) == contents("handbook", 1)
    assert snapshots.head("handbook") == 4
    with pytest.raises(RetrievalError, match=r"ada rolled the corpus back to snapshot 1.*open a new draft"):
        put(draft, "e", "late")
    states = {one.name: one.state for one in Document.objects.all()}
    assert states == {"a": "processed", "b": "processed", "c": "removed", "d": "removed"}


def test_a_rollback_copies_no_vector() -> None:
    make_corpus()
    publish("handbook", {"a": "one"})
    publish("handbook", {"a": "two"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), max(chunk_id) FROM retrieval_chunk")
        before = cursor.fetchone()
        snapshots.rollback("handbook", 1, actor="x")
        cursor.execute("SELECT count(*), max(chunk_id) FROM retrieval_chunk")
        assert cursor.fetchone() == before


def test_rollbacks_that_cannot_be_done_say_why() -> None:
    make_corpus()
    with pytest.raises(RetrievalError, match="none is published yet"):
        snapshots.rollback("handbook", 1, actor="x")
    publish("handbook", {"a": "one"})
    publish("handbook", {"a": "two"})
    draft = ingest.open_draft("handbook", actor="x")
    Snapshot.objects.filter(number=1).update(state="collected")

    for number, code in (
        (1, "snapshot_not_published"),
        (2, "already_current"),
        (3, "snapshot_not_published"),
    ):
        with pytest.raises(RetrievalError) as caught:
            snapshots.rollback("handbook", number, actor="x")
        assert caught.value.code == code
    with pytest.raises(RetrievalError, match="the newest is 2"):
        snapshots.rollback("handbook", 77, actor="x")
    assert put(draft, "b", "the draft is still open").state == "processed"


def test_a_diff_names_what_differs_in_both_directions() -> None:
    make_corpus()
    publish("handbook", {"same": "x", "changed": "one", "gone": "g"})
    publish("handbook", {"changed": "two", "gone": None, "new": "n"})
    one, two = snapshots.get("handbook", 1), snapshots.get("handbook", 2)

    there, back = snapshots.diff(one, two), snapshots.diff(two, one)

    assert [(d.name, d.kind) for d in there] == [
        ("changed", "changed"),
        ("gone", "removed"),
        ("new", "added"),
    ]
    assert [(d.name, d.kind) for d in back] == [("changed", "changed"), ("gone", "added"), ("new", "removed")]
    assert (there[0].revision_before, there[0].revision_after) == (1, 2)
    assert snapshots.diff(one, one) == ()


def test_snapshots_of_two_corpora_are_not_compared() -> None:
    make_corpus("one")
    make_corpus("two")
    first, second = publish("one", {"a": "x"}), publish("two", {"a": "x"})
    assert first is not None
    assert second is not None

    with pytest.raises(RetrievalError, match="two corpora"):
        snapshots.diff(first, second)


def test_the_list_shows_published_snapshots_only() -> None:
    make_corpus()
    publish("handbook", {"a": "x"})
    publish("handbook", {"a": "x"})  # nothing changed: number 2 is abandoned
    publish("handbook", {"a": "y"})
    ingest.open_draft("handbook", actor="x")

    assert [one.number for one in snapshots.published("handbook")] == [3, 1]
    assert snapshots.heads(["handbook"]) == {"handbook": 3}
    with pytest.raises(RetrievalError, match="no corpus 'nowhere'"):
        snapshots.heads(["handbook", "nowhere"])


def test_one_corpus_does_not_see_another() -> None:
    make_corpus("one")
    make_corpus("two")
    publish("one", {"a": "common text"})
    publish("two", {"b": "common text"})

    assert contents("one", 1) == {"a": "common text"}
    assert contents("two", 1) == {"b": "common text"}


names = st.sampled_from(["a", "b", "c"])
texts = st.sampled_from(["common one", "common two", "common three four", "common five"])
operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), names, texts),
        st.tuples(st.just("remove"), names, st.none()),
        st.tuples(st.sampled_from(["publish", "publish", "abandon", "repeat"]), st.none(), st.none()),
        st.tuples(st.just("rollback"), st.integers(0, 20), st.none()),
    ),
    max_size=20,
)


class Plain:
    """What the corpus should hold, in dictionaries."""

    def __init__(self) -> None:
        self.head: dict[str, str] = {}
        self.draft: dict[str, str] | None = None
        self.published: dict[int, dict[str, str]] = {}

    def do(self, action: str, what: object, text: str | None) -> None:
        if action == "rollback":
            self._rollback(what)
        elif action in {"publish", "abandon"}:
            self._close(action)
        elif action in {"put", "remove"}:
            self._change(str(what), text)

    def _change(self, name: str, text: str | None) -> None:
        draft = ingest.open_draft("c", actor="x")
        if self.draft is None:
            self.draft = dict(self.head)
        if text is not None:
            self.draft[name] = text
            put(draft, name, text)
            put(draft, name, text)
        elif Document.objects.filter(name=name).exists():
            assert ingest.remove_document(draft, name) is (self.draft.pop(name, None) is not None)

    def _close(self, action: str) -> None:
        draft = ingest.open_draft("c", actor="x")
        if action == "abandon":
            ingest.abandon(draft)
        else:
            snapshot = ingest.publish(draft)
            assert ingest.publish(draft) == snapshot
            wanted = self.head if self.draft is None else self.draft
            assert (snapshot is None) is (wanted == self.head)
            if snapshot is not None:
                self.head = wanted
                self.published[snapshot.number] = dict(wanted)
        self.draft = None

    def _rollback(self, which: object) -> None:
        if not self.published:
            return
        number = sorted(self.published)[int(str(which)) % len(self.published)]
        if self.published[number] == self.head:
            return
        back = snapshots.rollback("c", number, actor="x")
        self.head = self.published[number]
        self.published[back.number] = dict(self.head)
        self.draft = None

    def check(self) -> None:
        roots: dict[object, str] = {}
        for number, wanted in self.published.items():
            snapshot = snapshots.get("c", number)
            assert contents("c", number) == wanted
            assert snapshots.verify(snapshot)
            assert (snapshot.documents, snapshot.chunks) == (len(wanted), len(wanted))
            assert roots.setdefault(tuple(sorted(wanted.items())), snapshot.root_hash) == snapshot.root_hash
        assert len(set(roots.values())) == len(roots)
        self._check_diffs()

    def _check_diffs(self) -> None:
        for a, before in self.published.items():
            for b, after in self.published.items():
                found = snapshots.diff(snapshots.get("c", a), snapshots.get("c", b))
                differing = {name for name in {*before, *after} if before.get(name) != after.get(name)}
                assert {one.name for one in found} == differing


@settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(operations)
def test_any_history_gives_what_a_plain_model_gives(history: list[tuple[str, object, str | None]]) -> None:
    with transaction.atomic():
        plain = Plain()
        make_corpus("c")
        for action, what, text in history:
            plain.do(action, what, text)
        plain.check()
        assert not Span.objects.exclude(added__in=plain.published).filter(removed__lt=2**31 - 1).exists()
        transaction.set_rollback(True)
