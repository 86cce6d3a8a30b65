"""`/corpora`: figures, snapshots, rollback, comparison and search."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from tests import engine
from tests.web.api.conftest import Api, assert_problem
from tests.web.api.test_documents import CORPUS
from workflows.engine import bundle
from workflows.models import AuditEntry


@pytest.fixture(autouse=True)
def handbook(transactional_db: None) -> None:
    bundle.forget_providers()
    engine.apply(CORPUS)


def _put(api: Api, **texts: str) -> None:
    for name, text in texts.items():
        api.post("/corpora/handbook/documents", {"name": name, "text": text})
        engine.drain()


def test_a_corpus_is_listed_with_its_head(
    api: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    empty = api.get("/corpora/handbook").json()
    assert (empty["head"], empty["documents"], empty["published_at"]) == (None, 0, None)
    _put(api, a="apples", b="pears")
    with django_assert_num_queries(3):  # token, corpora, their heads
        [shape] = api.get("/corpora").json()["results"]
    assert (shape["head"], shape["documents"], shape["chunks"]) == (2, 2, 2)
    assert (shape["embedding"], shape["dims"], shape["publish"]) == ("fake/words", 64, "auto")
    assert shape["chunk"] == {"tokens": 60, "overlap": 5}
    assert api.get("/corpora/handbook").json() == shape


def test_snapshots_are_listed_compared_and_rolled_back(api: Api) -> None:
    _put(api, a="apples", b="pears")
    _put(api, a="red apples")
    shown = api.get("/corpora/handbook/snapshots").json()["results"]
    assert [(each["number"], each["documents"], each["state"]) for each in shown] == [
        (3, 2, "published"),
        (2, 2, "published"),
        (1, 1, "published"),
    ]
    assert api.get("/corpora/handbook/snapshots/1/diff/3").json()["results"] == [
        {"name": "a", "change": "changed", "revision_before": 1, "revision_after": 2},
        {"name": "b", "change": "added", "revision_before": None, "revision_after": 1},
    ]
    first = api.get("/corpora/handbook/snapshots/1/diff/3", limit=1).json()
    second = api.get("/corpora/handbook/snapshots/1/diff/3", limit=1, cursor=first["next"]).json()
    assert ([each["name"] for each in second["results"]], second["next"]) == (["b"], None)
    made = api.post("/corpora/handbook/snapshots/1/rollback", {"reason": "b was wrong"})
    assert made.status_code == 201, made.content
    assert (made.json()["number"], made.json()["copy_of"]) == (4, 1)
    assert api.get("/corpora/handbook/snapshots/1/diff/4").json() == {"results": [], "next": None}
    assert AuditEntry.objects.get(action="corpus.rollback").reason == "b was wrong"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("nothing/snapshots/1/rollback", "unknown_corpus"),
        ("handbook/snapshots/9/rollback", "unknown_snapshot"),
        ("handbook/snapshots/99999999999999999999/rollback", "unknown_snapshot"),
    ],
)
def test_what_cannot_be_rolled_back_to(api: Api, address: str, code: str) -> None:
    _put(api, a="apples")
    assert_problem(api.post(f"/corpora/{address}"), 404, code)


def test_the_head_is_not_rolled_back_to(api: Api) -> None:
    _put(api, a="apples")
    assert_problem(api.post("/corpora/handbook/snapshots/1/rollback"), 409, "already_current")
    assert not AuditEntry.objects.filter(action="corpus.rollback").exists()


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_a_search_answers_from_one_snapshot(api: Api, mode: str) -> None:
    _put(api, a="apples are red", b="pears are green")
    found = api.post("/corpora/handbook/search", {"query": "apples", "mode": mode, "top_k": 1}).json()
    assert found["snapshot"] == 2
    [hit] = found["results"]
    assert (hit["document"], hit["rank"], hit["text"]) == ("a", 1, "apples are red")
    assert set(hit) == {"text", "document", "source", "score", "rank", "metadata"}
    older = api.post("/corpora/handbook/search", {"query": "pears", "mode": mode, "snapshot": 1}).json()
    assert {hit["document"] for hit in older["results"]} <= {"a"}


def test_an_empty_corpus_is_said(api: Api) -> None:
    problem = assert_problem(api.post("/corpora/handbook/search", {"query": "x"}), 409, "corpus_empty")
    assert "no published snapshot yet" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"query": ""}, 422, "invalid_request"),
        ({"query": "x\0"}, 422, "invalid_request"),
        ({"query": "x", "top_k": 0}, 422, "invalid_request"),
        ({"query": "x", "top_k": 10_000}, 422, "invalid_request"),
        ({"query": "x", "mode": "magic"}, 422, "invalid_request"),
        ({"query": "x", "snapshot": 9}, 404, "unknown_snapshot"),
        ({"query": "x", "filter": {"a": "\0"}}, 422, "bad_filter"),
    ],
)
def test_a_wrong_search(api: Api, body: dict[str, Any], status: int, code: str) -> None:
    _put(api, a="apples")
    assert_problem(api.post("/corpora/handbook/search", body), status, code)


def test_an_unknown_corpus(api: Api) -> None:
    for address in ("/corpora/nothing", "/corpora/nothing/snapshots", "/corpora/nothing/snapshots/1/diff/2"):
        assert_problem(api.get(address), 404, "unknown_corpus")
    assert_problem(api.post("/corpora/nothing/search", {"query": "x"}), 404, "unknown_corpus")


def test_a_provider_that_does_not_answer_is_said(api: Api) -> None:
    _put(api, a="apples")
    away = "api: openai\nbase_url: http://127.0.0.1:1/v1"
    engine.apply(CORPUS.replace("api: scripted", away))
    bundle.forget_providers()
    problem = assert_problem(api.post("/corpora/handbook/search", {"query": "x"}), 502, "provider_connect")
    assert "fake" in problem["detail"]
