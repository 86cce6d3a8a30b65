"""What a search finds, in which order, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from retrieval import ingest, quarantine, rankings, search
from retrieval.errors import RetrievalError
from retrieval.ingest import SourceDocument
from retrieval.models import Chunk, Hit, Retrieval
from retrieval.search import SearchResult
from tests.db.retrieval.fixtures import embed, make_corpus, publish, put, vector

pytestmark = pytest.mark.django_db

DOCUMENTS: dict[str, str | None] = {
    "refunds.md": "Refunds are paid within ten days of the return.",
    "shipping.md": "Shipping takes three days and costs nothing.",
    "returns.md": "A return needs the receipt and the box.",
    "cats.md": "Cats sleep most of the day.",
}


def find(query: str, **options: Any) -> SearchResult:
    options.setdefault("snapshot", 1)
    return search.search("handbook", query=query, query_vector=vector(query), **options)


@pytest.fixture
def handbook() -> None:
    make_corpus()
    publish("handbook", DOCUMENTS)


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
@pytest.mark.usefixtures("handbook")
def test_the_document_with_the_words_comes_first(mode: str) -> None:
    result = find("refunds paid within days", mode=mode)

    first = result.hits[0]
    assert (first.document, first.source, first.rank) == ("refunds.md", "refunds.md", 1)
    assert first.text == DOCUMENTS["refunds.md"]
    assert (result.snapshot, result.quarantine_epoch, result.index) == (1, 0, "exact")
    assert [hit.rank for hit in result.hits] == list(range(1, len(result.hits) + 1))
    assert [hit.score for hit in result.hits] == sorted((hit.score for hit in result.hits), reverse=True)


@pytest.mark.usefixtures("handbook")
def test_scores_stay_in_their_ranges() -> None:
    text = DOCUMENTS["refunds.md"]
    assert text is not None

    assert find(text, mode="vector").hits[0].score == pytest.approx(1, abs=1e-3)
    assert all(-1.001 <= hit.score <= 1.001 for hit in find("cats", mode="vector").hits)
    assert all(0 < hit.score < 1 for hit in find(text, mode="text").hits)
    assert find(text, mode="hybrid").hits[0].score == pytest.approx(1)


@pytest.mark.usefixtures("handbook")
def test_one_word_of_a_question_is_enough_for_text() -> None:
    found = find("what on earth could shipping possibly entail", mode="text")

    assert [hit.document for hit in found.hits] == ["shipping.md"]


@pytest.mark.usefixtures("handbook")
def test_words_are_found_without_accents_and_in_other_forms() -> None:
    publish("handbook", {"cafe.md": "Our café serves crêpes."})

    assert [hit.document for hit in find("crepe cafes", mode="text", snapshot=2).hits] == ["cafe.md"]


@pytest.mark.usefixtures("handbook")
def test_results_are_the_same_every_time_and_hash_alike() -> None:
    first, again = find("days"), find("days")

    assert first == again
    assert find("cats sleep").result_sha != first.result_sha


@pytest.mark.usefixtures("handbook")
def test_the_best_are_cut_at_top_k_and_min_score() -> None:
    everything = find("days of return", mode="vector")
    floor = everything.hits[1].score

    assert len(everything.hits) == 4
    assert everything.hits[:2] == find("days of return", mode="vector", top_k=2).hits
    assert len(find("days of return", mode="vector", min_score=floor).hits) == 2
    assert find("days of return", min_score=2.0).hits == ()


def test_filters_keep_documents_whose_metadata_contains_them() -> None:
    make_corpus()
    draft = ingest.open_draft("handbook", actor="x")
    put(draft, "a", "common a", product="x", tags=["red", "blue"], nested={"deep": 1})
    put(draft, "b", "common b", product="y", tags=["red"])
    put(draft, "c", "common c")
    ingest.publish(draft)

    def named(wanted: dict[str, object]) -> list[str]:
        return sorted(hit.document for hit in find("common", filter=wanted).hits)

    assert named({"product": "x"}) == ["a"]
    assert named({"tags": ["red"]}) == ["a", "b"]
    assert named({"nested": {"deep": 1}}) == ["a"]
    assert named({"product": "x' OR true --"}) == []
    assert named({"unknown": 1}) == []
    assert named({}) == ["a", "b", "c"]
    assert find("common", filter={"product": "x"}).hits[0].metadata["product"] == "x"


def test_equal_passages_of_documents_are_one_hit() -> None:
    make_corpus()
    boilerplate: dict[str, str | None] = {f"d{n:03}": "All rights reserved." for n in range(120)}
    publish("handbook", boilerplate | {"other": "Some rights were lost."})

    result = find("rights reserved", top_k=5)

    assert [hit.document for hit in result.hits] == ["d000", "other"]


def test_quarantined_documents_are_left_out_of_pinned_snapshots_too() -> None:
    make_corpus()
    publish("handbook", {"good": "common good", "bad": "common bad", "copy": "common bad"})
    mark = quarantine.mark("handbook", "bad", reason="poisoned", actor="ada")
    again = quarantine.mark("handbook", "bad", reason="poisoned", actor="bob")

    during = find("common bad")
    quarantine.lift(mark.id, actor="ada")
    quarantine.lift(mark.id, actor="ada")
    after = find("common bad")

    assert again == mark
    assert {hit.document for hit in during.hits} == {"good", "copy"}
    assert {hit.document for hit in after.hits} == {"good", "bad"}
    assert (during.quarantine_epoch, after.quarantine_epoch) == (1, 2)
    with pytest.raises(RetrievalError, match="no document 'zzz'"):
        quarantine.mark("handbook", "zzz", reason="", actor="ada")


HOSTILE = {
    "nul": "refunds\0 paid",
    "surrogates": "refunds \ud800 paid \udfff",
    "quotes": "refunds' | ! & ( ) <-> :* \\ \" paid",
    "percent": "refunds %s %(x)s {spans} paid",
    "long": "refunds " + "paid nonsense " * 8000,
    "many words": "refunds " + " ".join(f"w{n}" for n in range(20_000)),
    "long word": "refunds " + "x" * 100_000,
    "emoji": "refunds 😀 paid",
    "path": "refunds http://a.b/c?d=e&f='g'|h paid",
}


@pytest.mark.parametrize("query", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.usefixtures("handbook")
def test_any_query_is_answered(query: str) -> None:
    result = search.search("handbook", snapshot=1, query=query, query_vector=vector("refunds"), top_k=1)

    assert result.hits[0].document == "refunds.md"


@pytest.mark.parametrize("query", ["", "   ", "the of and", "???", "\0", "🙂"])
@pytest.mark.usefixtures("handbook")
def test_a_query_without_words_finds_nothing_by_text(query: str) -> None:
    assert find(query, mode="text").hits == ()


@pytest.mark.usefixtures("handbook")
def test_a_vector_of_zeros_finds_nothing_near() -> None:
    assert find("???", mode="vector").hits == ()
    assert find("???").hits == ()


def test_texts_without_a_vector_are_found_by_text_only() -> None:
    make_corpus()
    draft = ingest.open_draft("handbook", actor="x")
    put(draft, "a", "common words")
    silent = SourceDocument("b", "text/plain", b"common silence")
    ingest.add_document(draft, silent, lambda texts: np.zeros((len(texts), 16), dtype=np.float32))
    ingest.publish(draft)

    assert [hit.document for hit in find("common", mode="vector").hits] == ["a"]
    assert {hit.document for hit in find("common", mode="hybrid").hits} == {"a", "b"}


WRONG = {
    "mode": ({"mode": "magic"}, "bad_query"),
    "index": ({"index": "hnsw"}, "bad_query"),
    "top_k 0": ({"top_k": 0}, "bad_query"),
    "top_k huge": ({"top_k": 10_000}, "bad_query"),
    "min_score": ({"min_score": float("nan")}, "bad_query"),
    "filter value": ({"filter": {"a": object()}}, "bad_filter"),
    "filter NUL": ({"filter": {"a": "\0"}}, "bad_filter"),
    "filter surrogate": ({"filter": {"a": "\ud800"}}, "bad_filter"),
    "filter list": ({"filter": ["a"]}, "bad_filter"),
    "filter size": ({"filter": {"a": "x" * 20_000}}, "bad_filter"),
    "snapshot": ({"snapshot": 99}, "unknown_snapshot"),
    "snapshot huge": ({"snapshot": 10**12}, "unknown_snapshot"),
    "draft": ({"snapshot": 2}, "snapshot_not_published"),
    "no vector": ({"query_vector": None}, "query_needed"),
    "dimensions": ({"query_vector": np.zeros(8, dtype=np.float32)}, "wrong_dimensions"),
    "matrix": ({"query_vector": np.zeros((1, 16), dtype=np.float32)}, "wrong_dimensions"),
    "nan": ({"query_vector": np.full(16, np.nan, dtype=np.float32)}, "wrong_embedding"),
}


@pytest.mark.parametrize(("options", "code"), WRONG.values(), ids=WRONG)
@pytest.mark.usefixtures("handbook")
def test_what_cannot_be_searched_is_refused(options: dict[str, Any], code: str) -> None:
    ingest.open_draft("handbook", actor="x")
    arguments: dict[str, Any] = {"snapshot": 1, "query": "x", "query_vector": vector("x"), **options}

    with pytest.raises(RetrievalError) as caught:
        search.search("handbook", **arguments)
    assert caught.value.code == code
    assert caught.value.message.endswith(".")


def test_an_empty_or_unknown_corpus_says_what_to_do() -> None:
    make_corpus()
    with pytest.raises(RetrievalError, match="no published snapshot yet: ingest") as caught:
        find("x", snapshot=None)
    assert caught.value.code == "corpus_empty"
    with pytest.raises(RetrievalError, match="no corpus 'nowhere'") as caught:
        search.search("nowhere", snapshot=1, query="x", mode="text")
    assert caught.value.code == "unknown_corpus"


@pytest.mark.usefixtures("handbook")
def test_a_hybrid_search_takes_four_statements(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(4):
        find("refunds")


@pytest.mark.usefixtures("handbook")
def test_a_retrieval_is_recorded_once_an_attempt() -> None:
    result = find("refunds paid")
    for _ in range(2):
        search.record(
            result,
            run="r_1",
            step="search",
            attempt=1,
            query="refunds\0 \ud800",
            params={"top_k": 8, "x\0": ["\0"]},
        )
    search.record(result, run="r_1", step="search", attempt=2, query="refunds", params={})

    first, _second = Retrieval.objects.order_by("attempt")
    assert (first.snapshot, first.quarantine_epoch, first.mode, first.index) == (1, 0, "hybrid", "exact")
    assert first.result_sha == result.result_sha
    recorded = [
        (hit.rank, hit.chunk_id, hit.doc_version_id, hit.score) for hit in first.hits.order_by("rank")
    ]
    assert recorded == [(hit.rank, hit.chunk_id, hit.doc_version, hit.score) for hit in result.hits]
    assert Hit.objects.filter(doc_version=result.hits[0].doc_version).count() == 2


def test_the_index_and_the_exact_scan_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    make_corpus(tokens=8)
    words = [f"word{n}" for n in range(60)]
    texts = " ".join(f"{words[n % 60]} {words[n * 7 % 60]} number{n}.\n\n" for n in range(700))
    publish("handbook", {"a": texts})
    monkeypatch.setattr(search, "EXACT_LIMIT", 10)
    assert Chunk.objects.count() > 300

    indexed, exact = find("word3 word9"), find("word3 word9", index="exact")

    assert (indexed.index, exact.index) == ("hnsw", "exact")
    shared = {hit.chunk_id for hit in indexed.hits} & {hit.chunk_id for hit in exact.hits}
    assert len(shared) >= 7
    assert find("word3", filter={"none": 1}).index == "exact"


@pytest.mark.usefixtures("handbook")
def test_an_index_that_answers_short_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "EXACT_LIMIT", 1)

    assert find("days").index == "exact"
    assert len(find("days").hits) == 4


@pytest.mark.usefixtures("handbook")
def test_the_planner_uses_the_index_only_where_it_is_asked_to() -> None:
    scope = rankings.Scope(_corpus_id(), 16, 1, 0, 4)
    literal = "[" + ",".join(["0.5"] * 16) + "]"
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")
        plans = {
            name: "\n".join(row[0] for row in _explain(statement, scope, literal))
            for name, statement in (("exact", rankings._EXACT), ("indexed", rankings._INDEXED))
        }

    assert "_hnsw" in plans["indexed"]
    assert "_hnsw" not in plans["exact"]


def _explain(statement: str, scope: rankings.Scope, literal: str) -> list[Any]:
    return rankings._rows("EXPLAIN " + statement, scope, vector=literal, limit=50)


def _corpus_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM retrieval_corpus")
        row = cursor.fetchone()
        assert row
        return int(row[0])


def test_vectors_too_large_for_the_index_are_searched_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    make_corpus(dims=4200)
    draft = ingest.open_draft("handbook", actor="x")
    source = SourceDocument("a", "text/plain", b"common text")
    ingest.add_document(draft, source, lambda texts: np.stack([vector(text, 4200) for text in texts]))
    ingest.publish(draft)
    monkeypatch.setattr(search, "EXACT_LIMIT", 0)

    result = search.search("handbook", snapshot=1, query="common", query_vector=vector("common", 4200))

    assert (result.index, len(result.hits)) == ("exact", 1)


def test_embedding_is_what_the_fixture_says() -> None:
    assert embed(["a b", "b a"]).shape == (2, 16)
