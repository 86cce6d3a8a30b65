"""Documents from the console into a corpus: forms and files, hostile ones too, the ingest and its progress."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, override_settings

from console.models import Role
from retrieval.models import Document
from tests import engine, factories
from tests.web.api.test_documents import CORPUS
from workflows.engine import bundle
from workflows.models import Run, Upload

JSON = {"Accept": "application/json"}
FRAGMENT = {"HX-Request": "true"}
UPLOAD = "/corpora/handbook/upload/"


@pytest.fixture
def editor(client: Client, transactional_db: None) -> Client:
    bundle.forget_providers()
    engine.apply(CORPUS)
    client.force_login(factories.user(Role.EDITOR, "edith"))
    return client


def _file(name: str, data: bytes, kind: str = "application/octet-stream") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data, content_type=kind)


def test_the_bounds_are_told_before(editor: Client) -> None:
    page = editor.get(UPLOAD).content.decode()
    for text in (".pdf", "64.0 MB", "200 files", 'enctype="multipart/form-data"'):
        assert text in page


def test_files_become_documents_by_one_run(editor: Client) -> None:
    answer = editor.post(UPLOAD, {"file": [_file("a.txt", b"apples"), _file("b.md", b"pears")]})
    page = answer.content.decode()
    assert page.count("Taken in") == 2
    run = Run.objects.get()
    assert run.trigger == "console"
    assert f"/corpora/handbook/ingests/{run.pk}/" in page
    engine.drain()
    assert set(Document.objects.values_list("name", "state")) == {
        ("a.txt", "processed"),
        ("b.md", "processed"),
    }


def test_a_bad_file_keeps_none_of_the_others_out(editor: Client) -> None:
    sent = {
        "file": [
            _file("good.txt", b"apples"),
            _file("fake.pdf", b"this is no PDF"),
            _file("nul.txt", b"with \0 inside"),
            _file("photo.txt", b"\x89PNG\r\n\x1a\n"),
            _file("letter.docx", b"PK\x03\x04"),
            _file("empty.txt", b""),
            _file("good.txt", b"again"),
        ]
    }
    answer = editor.post(UPLOAD, sent, headers=JSON)
    assert answer.status_code == 202
    told = answer.json()
    assert [bool(each["reason"]) for each in told["files"]] == [False, True, True, True, True, True, True]
    for place, says in enumerate(["not a PDF", "NUL", "PNG", "not supported", "empty", "same name"], 1):
        assert says in told["files"][place]["reason"]
    engine.drain()
    assert list(Document.objects.values_list("name", flat=True)) == ["good.txt"]


def test_where_no_file_can_be_read_nothing_is_kept(editor: Client) -> None:
    answer = editor.post(UPLOAD, {"file": _file("fake.pdf", b"no")}, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["progress"] is None
    page = editor.post(UPLOAD, {"file": _file("fake.pdf", b"no")})
    assert page.status_code == 422
    assert b"not a PDF" in page.content
    assert not Run.objects.exists()
    assert not Upload.objects.exists()


def test_no_file_at_all_is_told(editor: Client) -> None:
    answer = editor.post(UPLOAD)
    assert answer.status_code == 422
    assert b"Choose at least one file." in answer.content


def test_a_file_that_is_too_large_says_how_large_one_may_be(editor: Client) -> None:
    with override_settings(UPLOAD_MAX_BYTES=1000):
        told = editor.post(UPLOAD, {"file": _file("big.txt", b"x" * 1001)}, headers=JSON).json()
    assert told["files"][0]["reason"] == "big.txt has 1.0 KB; at most 1.0 KB are taken."
    assert not Upload.objects.exists()


@pytest.mark.parametrize("name", ["../../etc/passwd.txt", "a/b/c.txt", "<b>.txt", "x" * 200 + ".txt"])
def test_names_of_files_are_names_and_not_paths(editor: Client, name: str) -> None:
    answer = editor.post(UPLOAD, {"file": _file(name, b"text")})
    assert b"<b>.txt" not in answer.content
    engine.drain()
    [found] = Document.objects.values_list("name", flat=True)
    assert "/" not in found


def test_as_many_files_as_are_told_can_be_sent(editor: Client) -> None:
    files = [_file(f"{number}.txt", b"text %d" % number) for number in range(150)]
    told = editor.post(UPLOAD, {"file": files}, headers=JSON).json()
    assert not any(each["reason"] for each in told["files"])


def test_progress_is_asked_until_the_ingest_has_ended(editor: Client) -> None:
    progress = editor.post(UPLOAD, {"file": _file("a.txt", b"apples")}, headers=JSON).json()["progress"]
    going = editor.get(progress, headers=FRAGMENT).content.decode()
    assert "every 1s" in going
    assert "Waits for a worker" in going
    assert "<html" in editor.get(progress).content.decode()
    assert b"ingest-progress" in editor.get("/corpora/handbook/").content
    engine.drain()
    ended = editor.get(progress, headers=FRAGMENT).content.decode()
    assert "every 1s" not in ended
    assert "Snapshot 1: 1 processed" in ended
    assert editor.get("/corpora/handbook/ingests/r_nothing/").status_code == 404


def test_ingests_are_listed_with_what_they_said(editor: Client) -> None:
    editor.post(UPLOAD, {"file": _file("a.txt", b"apples")})
    address = "/corpora/handbook/?tab=ingests"
    assert "every 2s" in editor.get(address).content.decode()
    engine.drain()
    page = editor.get(address).content.decode()
    assert "every 2s" not in page
    assert "Snapshot 1: 1 processed" in page
    assert "1/1" in page
    assert editor.get(f"{address}&after=nonsense").status_code == 302


def test_a_pasted_text_becomes_a_document(editor: Client) -> None:
    answer = editor.post(
        "/corpora/handbook/paste/", {"name": "notes.md", "text": "# Apples\n\nThey are red."}
    )
    assert answer.status_code == 302
    engine.drain()
    found = Document.objects.select_related("version").get()
    assert found.version
    assert (found.name, found.version.media_type) == ("notes.md", "text/markdown")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("", "text", "needs a name"),
        ("a.txt", " ", "There is no text"),
        ("a\x07.txt", "text", "printable characters"),
        ("a.pdf", "not one", ""),
    ],
)
def test_a_pasted_text_that_cannot_be_taken_stays_in_the_form(
    editor: Client, name: str, text: str, says: str
) -> None:
    answer = editor.post("/corpora/handbook/paste/", {"name": name, "text": text})
    if not says:  # an ending that text cannot have counts as plain text
        assert answer.status_code == 302
        return
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert text in answer.content.decode()
    assert not Run.objects.exists()


def test_a_corpus_without_sources_says_that_there_is_nothing_to_read(editor: Client) -> None:
    answer = editor.post("/corpora/handbook/sources/")
    assert answer.status_code == 409
    assert b"names no sources" in answer.content
