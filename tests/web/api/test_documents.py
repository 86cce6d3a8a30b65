"""`/corpora/NAME/documents` and `/ingests`: texts and files in, and every kind of file that is none."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from pytest_django import DjangoAssertNumQueries

from tests import engine
from tests.web.api.conftest import Api, assert_problem
from workflows.engine import bundle
from workflows.models import Run

CORPUS = """
kind: Provider
name: fake
api: scripted
models: [{name: words, embeds: 64}]
---
kind: Corpus
name: handbook
embedding: fake/words
chunk: {tokens: 60, overlap: 5}
"""


@pytest.fixture(autouse=True)
def handbook(transactional_db: None) -> None:
    bundle.forget_providers()
    engine.apply(CORPUS)


def _file(name: str, data: bytes, kind: str = "application/octet-stream") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data, content_type=kind)


def _ingested(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 202, answer.content
    engine.drain()
    accepted: dict[str, Any] = answer.json()
    return accepted


def test_a_text_becomes_a_document(api: Api) -> None:
    answer = api.post("/corpora/handbook/documents", {"name": "a.md", "text": "# Apples\n\nThey are red."})
    accepted = _ingested(answer)
    assert accepted["documents"] == ["a.md"]
    assert answer["Location"] == accepted["ingest"]["links"]["self"]
    assert api.get(f"/runs/{accepted['ingest']['id']}").json()["output"]["processed"] == 1
    [shape] = api.get("/corpora/handbook/documents").json()["results"]
    assert (shape["name"], shape["state"], shape["revision"], shape["chunks"]) == ("a.md", "processed", 1, 1)
    assert shape["media_type"] == "text/markdown"


def test_files_become_documents(api: Api) -> None:
    answer = api.upload(
        "/corpora/handbook/documents", file=[_file("a.txt", b"apples"), _file("b.md", b"pears")]
    )
    assert _ingested(answer)["documents"] == ["a.txt", "b.md"]
    shown = api.get("/corpora/handbook/documents").json()["results"]
    assert {shape["name"] for shape in shown} == {"a.txt", "b.md"}


def test_the_same_name_again_is_a_new_revision(api: Api) -> None:
    for text in ("one", "two"):
        _ingested(api.post("/corpora/handbook/documents", {"name": "a", "text": text}))
    [shape] = api.get("/corpora/handbook/documents").json()["results"]
    assert shape["revision"] == 2


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("report.pdf", b"this is no PDF", "not a PDF"),
        ("nul.txt", b"with \0 inside", "NUL"),
        ("photo.txt", b"\x89PNG\r\n\x1a\n", "PNG"),
        ("photo.png", b"\x89PNG\r\n\x1a\n", "not supported"),
        ("letter.docx", b"PK\x03\x04", "not supported"),
        ("empty.txt", b"", "empty"),
        ("blank.md", b" \n\t ", "empty"),
        ("a.exe", b"MZ", "not supported"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_at_once(api: Api, name: str, data: bytes, says: str) -> None:
    answer = api.upload("/corpora/handbook/documents", file=_file(name, data))
    problem = assert_problem(answer, 422, "unreadable_document")
    assert says in problem["detail"]
    assert not Run.objects.exists()


def test_one_bad_file_refuses_all(api: Api) -> None:
    files = [_file("good.txt", b"apples"), _file("bad.pdf", b"nothing")]
    assert_problem(api.upload("/corpora/handbook/documents", file=files), 422, "unreadable_document")
    assert not Run.objects.exists()


@override_settings(UPLOAD_MAX_BYTES=1000)
def test_a_file_that_is_too_large(api: Api) -> None:
    answer = api.upload("/corpora/handbook/documents", file=_file("a.txt", b"x" * 200_000))
    assert_problem(answer, 413, "too_large")
    answer = api.upload("/corpora/handbook/documents", file=_file("a.txt", b"x" * 2000))
    assert_problem(answer, 413, "too_large")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"text": "x"}, "name"),
        ({"name": "", "text": "x"}, "name"),
        ({"name": "a"}, "text"),
        ({"name": "a", "text": 1}, "text"),
        ({"name": "a", "text": "a\0b"}, "text"),
        ({"name": "a\0b", "text": "x"}, "name"),
        ({"name": "a", "text": "x", "more": 1}, "more"),
    ],
)
def test_a_wrong_text(api: Api, body: dict[str, Any], path: str) -> None:
    problem = assert_problem(api.post("/corpora/handbook/documents", body), 422, "invalid_request")
    assert problem["errors"][0]["path"] == path


@pytest.mark.parametrize(
    "fields",
    [{"upload": _file("a.txt", b"x")}, {"file": "text"}, {"file": _file("a.txt", b"x"), "name": "b"}, {}],
)
def test_a_wrong_form(api: Api, fields: dict[str, Any]) -> None:
    assert_problem(api.upload("/corpora/handbook/documents", **fields), 422, "invalid_request")


@pytest.mark.parametrize(
    "body", [b"", b"--x", b"--x\r\n\r\n", b"\0\0\0", b"--x\r\nContent-Disposition: form-data\r\n"]
)
def test_a_broken_form(api: Api, body: bytes) -> None:
    answer = api.raw("/corpora/handbook/documents", body, content_type="multipart/form-data; boundary=x")
    assert answer.status_code in {400, 422}
    assert answer["Content-Type"] == "application/problem+json"


def test_an_unknown_corpus(api: Api) -> None:
    assert_problem(api.get("/corpora/nothing/documents"), 404, "unknown_corpus")
    body = {"name": "a", "text": "x"}
    assert_problem(api.post("/corpora/nothing/documents", body), 404, "unknown_corpus")


def test_documents_are_filtered_and_paged(
    api: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for name in ("a", "b", "c"):
        _ingested(api.post("/corpora/handbook/documents", {"name": f"{name}.txt", "text": name}))
    with django_assert_num_queries(3):  # token, corpus, documents with their versions
        first = api.get("/corpora/handbook/documents", limit=2).json()
    second = api.get("/corpora/handbook/documents", limit=2, cursor=first["next"]).json()
    assert len(first["results"]) == 2
    assert len(second["results"]) == 1
    assert [shape["name"] for shape in api.get("/corpora/handbook/documents", q="b.").json()["results"]] == [
        "b.txt"
    ]
    assert api.get("/corpora/handbook/documents", state="failed").json()["results"] == []


def test_ingests_are_runs_of_this_corpus(api: Api) -> None:
    accepted = _ingested(api.post("/corpora/handbook/documents", {"name": "a", "text": "x"}))
    engine.apply(CORPUS.replace("handbook", "other"))
    [shape] = api.get("/corpora/handbook/ingests").json()["results"]
    assert shape["id"] == accepted["ingest"]["id"]
    assert api.get("/corpora/other/ingests").json()["results"] == []


def test_a_corpus_without_sources_has_nothing_to_ingest(api: Api) -> None:
    assert_problem(api.post("/corpora/handbook/ingests"), 422, "nothing_to_ingest")
    assert_problem(api.post("/corpora/nothing/ingests"), 404, "unknown_corpus")
