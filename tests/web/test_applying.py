"""The page for applying files: paste, files, plans, faults, conflicts, hostile texts, who may."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests import engine, example_workflows
from tests.example_workflows import FIRST, OTHERS, SECOND
from workflows.models import AuditEntry, Definition

ALL = f"{OTHERS}---\n{FIRST}"


@pytest.fixture
def edith(transactional_db: None, editor: Client) -> Client:
    return editor


def _text(answer: Any) -> str:
    return str(answer.content.decode())


def _send(client: Client, text: str = "", *, do: str = "plan", files: Any = (), **more: str) -> Any:
    sent = {"name": "pasted text", "text": text, "do": do, **more}
    return client.post("/apply/", {**sent, **({"files": list(files)} if files else {})})


def _seen(answer: Any) -> str:
    found = re.search(r'name="seen" value="(\w+)"', _text(answer))
    assert found, _text(answer)[:2000]
    return found[1]


def test_pasted_documents_are_planned_and_then_applied(edith: Client) -> None:
    plan = _send(edith, ALL)
    page = _text(plan)
    assert "5 new documents" in page
    assert "goes live at once in production" in page
    assert not Definition.objects.filter(name="claims").exists()
    done = _send(edith, ALL, do="apply", seen=_seen(plan), reason="To begin with")
    assert done["Location"] == "/workflows/claims/"
    assert AuditEntry.objects.get(object_id="claims@1").reason == "To begin with"
    again = _text(_send(edith, ALL))
    assert "Nothing would change" in again
    assert 'value="apply"' not in again


def test_files_join_what_was_pasted_and_json_is_known_by_its_name_or_its_look(edith: Client) -> None:
    prompt = '[{"kind": "Prompt", "name": "p", "messages": [{"role": "user", "content": "hi"}]}]'
    files = [
        SimpleUploadedFile("p.json", prompt.encode()),
        SimpleUploadedFile("all.yaml", ALL.encode()),
    ]
    plan = _send(edith, prompt.replace('"p"', '"q"'), files=files)
    assert "7 new documents" in _text(plan)


def test_a_changed_document_shows_what_changed(edith: Client) -> None:
    example_workflows.documents()
    page = _text(_send(edith, SECOND.replace("to: nobody", "to: archive")))
    assert "<ins>archive</ins>" in page
    assert "1 new version" in page
    assert "waits to be deployed" in page


def test_all_faults_are_told_at_once_each_at_its_file_and_line(edith: Client) -> None:
    files = [SimpleUploadedFile("two.yaml", b"kind: Prompt\nname: p\nmessages: 5\nnope: 1\n")]
    answer = _send(edith, FIRST, files=files)
    page = _text(answer)
    assert answer.status_code == 422
    assert "there is no Prompt &#x27;assess&#x27;" in page
    assert 'data-jump="source-1:4"' in page
    assert "messages: 5" in page
    assert "name: claims" in page
    assert not Definition.objects.filter(name="claims").exists()


def test_a_plan_that_has_changed_meanwhile_is_shown_again(edith: Client) -> None:
    example_workflows.documents()
    changed = SECOND.replace("to: nobody", "to: archive")
    seen = _seen(_send(edith, changed))
    engine.apply(SECOND.replace("to: people", "to: desk"))
    answer = _send(edith, changed, do="apply", seen=seen)
    assert answer.status_code == 409
    assert "changed since you looked at the plan" in _text(answer)
    assert Definition.objects.get(name="claims").latest_version == 3


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfe\x00binary", "is no text in UTF-8"),
        (b"kind: Prompt\nname: p\x00\n", "NUL"),
        (b"a: " + b"[" * 5000, "nested deeper"),
        (b"x: &a [1,2]\ny: &b [" + b"*a," * 50_000 + b"1]\n", "holds more than"),
        (b"<script>alert(1)</script>", "mapping"),
        (b"x" * 4_100_000, "takes 4.0 MB in all"),
        (b"--- 1\n" * 6_000, "more problems in this text"),
    ],
)
def test_a_hostile_file_gets_a_clear_answer(edith: Client, content: bytes, told: str) -> None:
    answer = _send(edith, files=[SimpleUploadedFile("evil.yaml", content)])
    assert answer.status_code == 422
    assert told in _text(answer)
    assert "<script>alert" not in _text(answer)


def test_nothing_at_all_and_too_many_files_are_refused_in_words(edith: Client) -> None:
    assert "Paste a document" in _text(_send(edith, "  "))
    assert "There is no document" in _text(_send(edith, "# only a comment"))
    page = _text(edith.post("/apply/", {"do": "plan", "name": ["a"] * 201, "text": ["kind: X"] * 201}))
    assert "at most 200 are taken at once" in page


def test_keep_editing_gives_every_text_back(edith: Client) -> None:
    page = _text(edith.post("/apply/", {"do": "edit", "name": ["a", "b"], "text": ["kind: A <", "kind: B"]}))
    assert "kind: A &lt;" in page
    assert page.count('name="text"') == 2


def test_a_viewer_sees_the_form_with_the_reason_and_may_not_send_it(viewer: Client) -> None:
    page = _text(viewer.get("/apply/"))
    assert "<fieldset disabled>" in page
    assert "needs the role editor" in page
    assert _send(viewer, ALL).status_code == 403
    assert "/api/v1/export" in page
