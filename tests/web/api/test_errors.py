"""Every fault is a problem+json: wrong addresses, methods, types, bodies, and faults of ours."""

from __future__ import annotations

import psycopg
import pytest
from django.db import OperationalError
from django.test import Client, override_settings

from console import strict_json
from console.api import run_filters
from tests.web.api.conftest import Api, assert_problem

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/api/v1/runs/", "/api/v1/runs/a/b/c", "/api/", "/api", "/api/v2/runs"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_an_unknown_address_is_a_problem_and_never_a_redirect(path: str, method: str) -> None:
    answer = Client().generic(method, path)
    problem = assert_problem(answer, 404, "not_found")
    assert ("slash" in problem["detail"]) is path.endswith("/")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_method_that_an_address_does_not_take(api: Api, method: str) -> None:
    answer = api.raw("/runs", b"", method=method)
    assert_problem(answer, 405, "method_not_allowed")
    assert answer["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "", "nonsense"]
)
def test_another_content_type(api: Api, kind: str) -> None:
    assert_problem(api.raw("/runs", b"a=b", content_type=kind), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b"", "workflow"),
        (b"nul", "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b'{"input": NaN}', "NaN"),
        (b'{"input": -Infinity}', "-Infinity"),
        (b'{"input": 1e999}', "too large"),
        (b'{"input": ' + b"9" * 401 + b"}", "digits"),
        (b'{"input": ' + b"9" * 5000 + b"}", "digits"),
        (b"[" * 101 + b"]" * 101, "nested"),
        (b"[" * 200_000, "nested"),
        (b'{"a":' * 150 + b"1" + b"}" * 150, "nested"),
        (b'"\x01"', "not JSON"),
    ],
)
def test_a_body_that_cannot_be_read(api: Api, body: bytes, says: str) -> None:
    answer = api.raw("/runs", body)
    assert answer.status_code in {400, 422}
    code = "malformed_request" if answer.status_code == 400 else "invalid_request"
    problem = assert_problem(answer, answer.status_code, code)
    assert says in problem["detail"] + str(problem["errors"])


def test_depth_is_bounded_exactly() -> None:
    assert strict_json.loads(b"[" * 100 + b"]" * 100)
    with pytest.raises(strict_json.JsonError):
        strict_json.loads(b"[" * 101 + b"]" * 101)


@pytest.mark.parametrize("body", ["[]", "1", '"x"', "null", "true"])
def test_a_body_that_is_no_object(api: Api, body: str) -> None:
    problem = assert_problem(api.raw("/runs", body), 422, "invalid_request")
    assert problem["errors"] == [{"path": "", "message": "A JSON object is expected."}]


def test_every_wrong_field_is_named_at_once(api: Api) -> None:
    problem = assert_problem(
        api.post("/runs", {"workflow": 1, "input": {}, "priority": "now", "tags": ["a", 2], "inputs": 3}),
        422,
        "invalid_request",
    )
    assert {fault["path"] for fault in problem["errors"]} == {"workflow", "priority", "tags[1]", "inputs"}
    assert "more in `errors`" in problem["detail"]


@pytest.mark.parametrize("field", ["workflow", "environment", "session", "title"])
@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_no_column_holds(api: Api, field: str, text: str) -> None:
    problem = assert_problem(
        api.post("/runs", {"workflow": "w", "input": {}, field: text}), 422, "invalid_request"
    )
    assert problem["errors"][0]["path"] == field


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1000)
def test_a_body_that_is_too_large(api: Api) -> None:
    problem = assert_problem(api.post("/runs", {"input": "x" * 2000}), 413, "too_large")
    assert "at most 1.0 KB" in problem["detail"]


def test_chunked_bodies_are_refused_in_words(api: Api) -> None:
    answer = api.client.generic(
        "POST", "/api/v1/runs", "", headers=api.headers, HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH=""
    )
    assert_problem(answer, 411, "length_required")


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense", "*/*;q=0"])
def test_errors_reach_whoever_accepts_something_else(api: Api, accept: str) -> None:
    answer = api.client.get("/api/v1/runs/r_none", headers={**api.headers, "Accept": accept})
    assert_problem(answer, 404, "unknown_run")


def test_a_fault_of_ours_tells_nothing_and_is_logged(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(run_filters, "apply", broken)
    api.client.raise_request_exception = False
    problem = assert_problem(api.get("/runs"), 500, "internal_error")
    assert "secret" not in str(problem)


@pytest.mark.parametrize("error", [OperationalError("gone"), psycopg.OperationalError("gone")])
def test_a_database_that_is_away_is_said(api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def away(*_: object) -> None:
        raise error

    monkeypatch.setattr(run_filters, "apply", away)
    answer = api.get("/runs")
    assert_problem(answer, 503, "database_away")
    assert answer["Retry-After"] == "5"


def test_a_foreign_host_is_refused_as_a_problem() -> None:
    answer = Client().get("/api/v1/runs", headers={"Host": "evil.example"})
    assert_problem(answer, 400, "malformed_request")


def test_the_request_id_is_kept(api: Api) -> None:
    answer = api.client.get("/api/v1/nothing", headers={"X-Request-Id": "from-a-proxy-1"})
    assert answer.json()["request_id"] == "from-a-proxy-1"
