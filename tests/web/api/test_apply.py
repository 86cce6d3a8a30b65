"""`POST /apply` and `GET /export`, and the commands of the same names."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from tests.web.api.conftest import Api, assert_problem
from workflows.models import Definition, Release

pytestmark = pytest.mark.django_db

DOCUMENTS = """\
kind: Provider
name: fake
api: scripted
models: [{name: m}]
---
kind: Route
name: chat
targets: [fake/m]
---
kind: Prompt
name: hello
messages: [{role: user, content: "Say hello"}]
---
kind: Workflow
name: greet
steps: [{id: say, prompt: hello, route: chat}]
"""


def test_a_plan_is_answered_and_carried_out(api: Api) -> None:
    answer = api.raw("/apply", DOCUMENTS, content_type="application/yaml")
    assert answer.status_code == 200, answer.content
    result = answer.json()
    assert result["applied"] is True
    assert [
        (change["kind"], change["name"], change["action"], change["version"]) for change in result["plan"]
    ] == [
        ("Provider", "fake", "create", 1),
        ("Route", "chat", "create", 1),
        ("Prompt", "hello", "create", 1),
        ("Workflow", "greet", "create", 1),
    ]
    assert "+name: hello" in result["plan"][2]["diff"]


def test_a_dry_run_changes_nothing(api: Api) -> None:
    answer = api.raw("/apply?dry_run=true", DOCUMENTS, content_type="application/yaml")
    assert (answer.status_code, answer.json()["applied"]) == (200, False)
    assert not Definition.objects.exists()


def test_what_was_exported_applies_to_nothing(api: Api) -> None:
    api.raw("/apply", DOCUMENTS, content_type="application/yaml; charset=utf-8")
    for format_ in ("yaml", "json"):
        exported = api.get("/export", format=format_)
        assert exported["Content-Type"] == f"application/{format_}"
        again = api.raw("/apply", exported.content, content_type=f"application/{format_}").json()
        assert {change["action"] for change in again["plan"]} == {"unchanged"}
        assert len(again["plan"]) == 4


def test_an_export_can_be_narrowed(api: Api) -> None:
    api.raw("/apply", DOCUMENTS, content_type="application/yaml")
    text = api.get("/export", kind=["Prompt", "Route"], name=["hello"]).content.decode()
    assert text.count("kind:") == 1
    assert "name: hello" in text


def test_every_fault_has_its_line_and_nothing_is_applied(api: Api) -> None:
    text = (
        DOCUMENTS + "---\nkind: Workflow\nname: bad\nsteps:\n  - {id: a, prompt: nothing, route: nowhere}\n"
    )
    problem = assert_problem(api.raw("/apply", text, content_type="application/yaml"), 422, "invalid_request")
    assert len(problem["errors"]) == 2
    assert {fault["line"] for fault in problem["errors"]} == {21}
    assert not Definition.objects.exists()


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff\xfe", b"a: &a [*a, *a]", b"- 1\n- 2", b"kind: X\nname: y", b"\0", b"[" * 100_000],
)
@pytest.mark.parametrize("kind", ["application/yaml", "application/json"])
def test_rubbish_is_refused(api: Api, body: bytes, kind: str) -> None:
    assert_problem(api.raw("/apply", body, content_type=kind), 422, "invalid_request")


def test_no_documents_are_an_empty_plan(api: Api) -> None:
    for body, kind in ((b"", "application/yaml"), (b"[]", "application/json")):
        answer = api.raw("/apply", body, content_type=kind)
        assert answer.json()["plan"] == [], answer.content


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=100)
def test_a_body_that_is_too_large(api: Api) -> None:
    assert_problem(api.raw("/apply", DOCUMENTS, content_type="application/yaml"), 413, "too_large")


def test_another_content_type(api: Api) -> None:
    answer = api.raw("/apply", DOCUMENTS, content_type="application/x-www-form-urlencoded")
    assert_problem(answer, 415, "unsupported_media_type")


def test_releases_are_listed_and_deployed(api: Api) -> None:
    api.raw("/apply", DOCUMENTS, content_type="application/yaml")
    api.raw("/apply", DOCUMENTS.replace("Say hello", "Greet"), content_type="application/yaml")
    newest, oldest = api.get("/releases", workflow="greet").json()["results"]
    assert (newest["number"], newest["deployed_to"]) == (2, [])
    assert (oldest["number"], oldest["deployed_to"]) == (1, ["production"])
    assert oldest["manifest"]["prompts"] == {"hello": 1}
    answer = api.post("/deployments/greet/production", {"release": 2, "reason": "better"})
    assert answer.json() == {
        "workflow": "greet",
        "environment": "production",
        "stable": 2,
        "candidate": None,
        "rollout": None,
    }
    assert api.get("/deployments/greet/production").json() == answer.json()


@pytest.mark.parametrize(
    ("address", "release", "status"),
    [
        ("greet/production", 9, 404),
        ("greet/nowhere", 1, 404),
        ("nothing/production", 1, 404),
        ("greet/production", 0, 422),
        ("greet/production", "1", 422),
    ],
)
def test_a_deployment_that_cannot_be(api: Api, address: str, release: object, status: int) -> None:
    api.raw("/apply", DOCUMENTS, content_type="application/yaml")
    assert api.post(f"/deployments/{address}", {"release": release}).status_code == status
    assert Release.objects.count() == 1


# --- the commands -------------------------------------------------------------------------------


def _call(*arguments: str) -> tuple[str, str]:
    out, told = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=told)
    return out.getvalue(), told.getvalue()


def test_files_and_folders_are_applied_and_exported(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "all.yaml").write_text(DOCUMENTS)
    (tmp_path / "notes.txt").write_text("not a document")
    out, told = _call("apply", str(tmp_path), "--dry-run")
    assert "nothing was applied" in told
    assert not Definition.objects.exists()
    out, told = _call("apply", str(tmp_path))
    assert "+ Workflow greet, version 1" in out
    assert "4 new" in told
    exported = tmp_path / "exported.json"
    exported.write_text(_call("export", "--format", "json")[0])
    assert len(json.loads(exported.read_text())) == 4
    assert "4 unchanged" in _call("apply", str(exported))[1]


def test_faults_are_listed_with_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("kind: Workflow\nname: bad\nsteps:\n  - {id: a, prompt: nothing, route: nowhere}\n")
    told = io.StringIO()
    with pytest.raises(CommandError, match="2 faults; nothing was applied"):
        call_command("apply", str(file), stdout=io.StringIO(), stderr=told)
    assert told.getvalue().count(f"{file}:4: ") == 2


@pytest.mark.parametrize("path", ["/no/such/file.yaml", "/proc/self/mem"])
def test_a_file_that_cannot_be_read(path: str) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        _call("apply", path)


def test_a_folder_without_documents(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="holds no"):
        _call("apply", str(tmp_path))
