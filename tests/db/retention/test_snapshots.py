"""Snapshots that nobody needs are collected; those that somebody needs answer as before, to the last passage."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from retrieval import collecting, drafts, ingest, search, snapshots
from retrieval.errors import RetrievalError
from retrieval.models import Chunk, Corpus, Snapshot, Span
from tests.db.replay.test_verify import close_doors
from tests.db.retention.past import age
from tests.db.retrieval import fixtures
from tests.db.retrieval.fixtures import make_corpus, put, vector
from tests.db.retrieval.test_concurrency import DOCUMENTS, Load, text, whole
from tests.engine import OPERATOR, apply, drain, output, start
from tests.threads import DatabaseThread
from workflows import quarantine
from workflows.models import Definition, Environment, Run
from workflows.replay import forking, verify
from workflows.replay.overriding import Overrides
from workflows.retention import corpora, pruning
from workflows.retention.report import Report

PROVIDER = f"""
kind: Provider
name: fake
api: scripted
models: [{{name: e, embeds: {fixtures.DIMS}}}, {{name: m, context_tokens: 8000, price: {{input: 1, output: 2}}}}]
rules: [{{reply: "An answer."}}]
"""
CORPUS = "{kind: Corpus, name: handbook, embedding: fake/e}"
ASK = """
kind: Prompt
name: ask
variables: {passages: {type: array}}
messages: [{role: user, content: "Of {{ passages | map(attribute='text') | join }}"}]
"""
LOOKS = """
kind: Workflow
name: looks
steps:
  - {id: first, retrieve: handbook, query: apple, top_k: 50, mode: text}
  - {id: ask, prompt: ask, route: chat, with: {passages: "{{ steps.first.output.chunks }}"}}
output: {texts: "{{ steps.first.output.chunks | map(attribute='text') | list }}", said: "{{ steps.ask.output.text }}"}
"""
ROUTE = "{kind: Route, name: chat, targets: [fake/m]}"


@pytest.fixture(autouse=True)
def _thirty_days(settings: Any) -> None:
    settings.RETENTION = {"*": {"runs": 30}}
    Environment.objects.get_or_create(name="production")


def prune() -> Report:
    return pruning.prune(actor=OPERATOR, now=timezone.now())


def looks() -> Run:
    made = start("looks")
    drain()
    made.refresh_from_db()
    assert made.state == "succeeded", made.error
    return made


def republish(count: int) -> None:
    for number in range(count):
        fixtures.publish(
            "handbook",
            {"a.md": f"Apple of {time.monotonic_ns()} {number}.", f"b{number % 3}.md": f"Pear {number}."},
        )


def numbers(state: str) -> list[int]:
    found = Snapshot.objects.filter(state=state).order_by("number")
    return list(found.values_list("number", flat=True))


def test_a_retained_run_replays_and_forks_after_all_around_it_is_edited_republished_collected_and_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apply(PROVIDER, CORPUS, ROUTE, ASK, LOOKS)
    fixtures.publish("handbook", {"a.md": "Apple pie.", "b.md": "An apple a day."})
    looks()
    republish(3)
    kept = looks()
    assert kept.pins == {"handbook": 4}
    Run.objects.filter(pk=kept.pk).update(tags=["keep"])
    seen = output(kept)
    age(20)
    republish(9)
    age(31)
    apply(ASK.replace("Of", "About"), LOOKS.replace("apple", "pear"))
    told = pruning.survey(now=timezone.now())
    done = prune()
    assert done.counts == told.counts
    assert (done.counts["runs"], done.counts["spans"] > 0, done.counts["chunks"] > 0) == (1, True, True)
    assert numbers("published") == [4, 9, 10, 11, 12, 13], "the pinned one, and the five newest"
    assert snapshots.verify(snapshots.get("handbook", 4))
    again = search.search("handbook", snapshot=4, query="apple", mode="text", top_k=50)
    assert sorted(hit.text for hit in again.hits) == sorted(seen["texts"])
    fork = forking.fork(kept.pk, forking.Ask(), actor=OPERATOR)
    drain()
    assert output(fork) == seen, "on the snapshot that is recorded"
    Definition.objects.filter(kind="Provider").update(archived_at=timezone.now())
    close_doors(monkeypatch)
    assert verify.replay(kept.pk).verdict == "identical"
    assert verify.replay(fork.pk).verdict == "identical"


def test_a_collected_snapshot_is_told_as_such_and_pinned_by_nobody() -> None:
    apply(PROVIDER, CORPUS, ROUTE, ASK, LOOKS)
    republish(8)
    done = looks()
    age(40)
    prune()
    assert numbers("collected") == [1, 2, 3]
    with pytest.raises(RetrievalError, match="Snapshot 1 of corpus 'handbook' is collected"):
        snapshots.get("handbook", 1)
    with pytest.raises(RetrievalError, match="is collected"):
        snapshots.rollback("handbook", 2, actor="ada")
    for number in range(4, 9):
        quarantine.impose(
            quarantine.Ask(kind="snapshot", ref=f"handbook@{number}", reason="bad"), actor=OPERATOR
        )
    assert quarantine.clean_pins({"handbook": 8}) == {}
    assert not Run.objects.filter(pk=done.pk).exists()


def test_the_last_clean_snapshot_is_kept_as_long_as_the_newer_ones_are_quarantined() -> None:
    apply(PROVIDER, CORPUS, ROUTE, ASK, LOOKS)
    republish(8)
    for number in range(3, 9):
        quarantine.impose(
            quarantine.Ask(kind="snapshot", ref=f"handbook@{number}", reason="bad"), actor=OPERATOR
        )
    age(40)
    prune()
    assert 2 in numbers("published")
    assert looks().pins == {"handbook": 2}


def test_what_was_the_head_until_lately_is_kept() -> None:
    apply(PROVIDER, CORPUS)
    republish(3)
    age(400)
    republish(6)
    assert prune().counts["snapshots"] == 2, "the third was the head until now"
    assert numbers("collected") == [1, 2]


def test_a_snapshot_that_somebody_pins_at_this_moment_is_not_collected() -> None:
    apply(PROVIDER, CORPUS, ROUTE, ASK, LOOKS)
    republish(8)
    done = looks()
    age(40)
    Run.objects.filter(pk=done.pk).update(tags=["keep"])
    held, go_on = threading.Event(), threading.Event()

    def work() -> None:
        with transaction.atomic():
            ask = forking.Ask(overrides=Overrides(snapshots={"handbook": 2}))
            forking.fork(done.pk, ask, actor=OPERATOR)
            held.set()
            go_on.wait(20)

    thread = DatabaseThread(target=work)
    thread.start()
    assert held.wait(20)
    prune()
    go_on.set()
    thread.join()
    assert numbers("collected") == [1, 3]
    prune()
    assert numbers("collected") == [1, 3], "now the fork pins it"
    drain()
    assert Run.objects.filter(forked_from=done, state="succeeded").exists()


def test_a_fork_that_began_before_the_lock_is_seen_after_it() -> None:
    corpus = make_corpus()
    republish(3)
    assert collecting.replaced(corpus, (), before=timezone.now() + timedelta(days=1)) == [1, 2]
    with transaction.atomic():
        assert collecting.collect(corpus, [1, 2], lambda: {2}) == [1]


def test_chunks_are_left_alone_while_an_ingest_is_at_it() -> None:
    """An ingest finds a chunk that nobody names, and places it later: it must still be there."""
    make_corpus()
    fixtures.publish("handbook", {"a.md": "Apple pie."})
    republish(8)
    age(40)
    draft = ingest.open_draft("handbook", actor="slow")
    put(draft, "new", "Only here.")
    done = prune()
    assert done.counts["spans"] > 0
    assert done.counts["chunks"] == 0
    fixtures.put(draft, "again", "Apple pie.")
    published = ingest.publish(draft)
    assert published is not None
    assert snapshots.verify(published)
    assert prune().counts["chunks"] > 0
    found = search.search(
        "handbook", snapshot=published.number, query="apple pie", query_vector=vector("Apple pie.")
    )
    assert found.hits[0].document == "again"


# A change of a document (null: it is removed), or of what is pinned, or a collection.
MOVES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 3))),
        st.just("pin"),
        st.just("unpin"),
        st.just("roll back"),
        st.just("collect"),
    ),
    max_size=30,
)


@examples(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_what_is_needed_is_whole_whatever_is_collected(moves: list[Any]) -> None:
    name = f"c{time.monotonic_ns()}"
    corpus = make_corpus(name, tokens=10)
    pinned: dict[int, dict[str, str]] = {}
    for move in moves:
        with contextlib.suppress(RetrievalError):
            step(corpus, move, pinned)
    for left in Snapshot.objects.filter(corpus=corpus, state="draft"):
        drafts.abandon(drafts.Draft(name, left.number))
    step(corpus, "collect", pinned)
    for number, seen in pinned.items():
        assert contents(corpus, number) == seen
        assert snapshots.verify(snapshots.get(name, number))
    needed = {*pinned, corpus.head}
    for span in Span.objects.filter(corpus=corpus):
        assert any(span.added <= number < span.removed for number in needed if number is not None), str(span)
    placed = set(Span.objects.filter(corpus=corpus).values_list("chunk_id", flat=True))
    assert (
        set(Chunk.objects.filter(corpus=corpus).values_list("chunk_id", flat=True)) == placed
        or corpus.head is None
    )


def step(corpus: Corpus, move: Any, pinned: dict[int, dict[str, str]]) -> None:
    head = snapshots.head(corpus.name)
    if isinstance(move, tuple):
        document, number = move
        words = None if number is None else " ".join(f"{document} says {number} {part}." for part in range(6))
        fixtures.publish(corpus.name, {document: words})
    elif head is None:
        return
    elif move == "pin":
        pinned[head] = contents(corpus, head)
    elif move == "unpin" and pinned:
        del pinned[min(pinned)]
    elif move == "roll back" and pinned:
        snapshots.rollback(corpus.name, min(pinned), actor="ada")
    elif move == "collect":
        corpus.refresh_from_db()
        later = timezone.now() + timedelta(days=1)
        with transaction.atomic():
            chosen = collecting.replaced(corpus, pinned, before=later)
            collecting.collect(corpus, chosen, lambda: pinned)
        for _ in corpora.drop(corpus):
            pass


def contents(corpus: Corpus, number: int) -> dict[str, str]:
    spans = Span.objects.filter(corpus=corpus, added__lte=number, removed__gt=number).select_related(
        "document"
    )
    texts = dict(Chunk.objects.filter(corpus=corpus).values_list("chunk_id", "body"))
    found: dict[str, str] = {}
    for span in spans.order_by("document__name", "ordinal"):
        found[span.document.name] = found.get(span.document.name, "") + texts[span.chunk_id]
    return found


def ingester(chance: random.Random) -> str:
    """Change a few documents, and publish or abandon that."""
    draft = ingest.open_draft("handbook", actor="one")
    for _ in range(chance.randint(1, 3)):
        name = f"d{chance.randrange(DOCUMENTS)}"
        put(draft, name, text(name, chance.randrange(6)))
    if chance.random() < 0.3:
        drafts.abandon(draft)
        return "abandoned"
    return "published" if ingest.publish(draft) else "unchanged"


def test_ingests_readers_and_collections_at_once_tear_nothing() -> None:
    corpus = make_corpus(tokens=30)
    fixtures.publish("handbook", {f"d{n}": text(f"d{n}", 0) for n in range(DOCUMENTS)})
    load = Load(collected=1, published=4)
    pinned, lock = {1: whole(corpus, 1)}, threading.Lock()

    def reader(chance: random.Random) -> str:
        with lock:
            head = snapshots.head("handbook")
            assert head is not None
            if chance.random() < 0.1:
                pinned[head] = whole(corpus, head)
            number = chance.choice(list(pinned))
            assert whole(corpus, number) == pinned[number]
        return "read"

    def collector(chance: random.Random) -> str:
        with lock, transaction.atomic():
            later = timezone.now() + timedelta(days=1)
            chosen = collecting.collect(
                corpus, collecting.replaced(corpus, pinned, before=later), lambda: pinned
            )
        for _ in corpora.drop(corpus):
            pass
        return "collected" if chosen else "nothing to collect"

    load.run(ingester, ingester, reader, collector)
    assert load.counts["collected"] > 0
    assert load.counts["published"] > 3
    for number, seen in pinned.items():
        assert whole(corpus, number) == seen
        assert snapshots.verify(snapshots.get("handbook", number))
