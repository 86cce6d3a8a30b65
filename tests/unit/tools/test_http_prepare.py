from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.spec.templates import TemplateError, render
from workflows.tools import http
from workflows.tools.config import Tool
from workflows.tools.errors import ToolError
from workflows.tools.http import HttpRequest


def prepared(input: dict[str, Any] | None = None, *, effect: str = "once", **request: Any) -> HttpRequest:
    document = {"name": "t", "effect": effect, "http": {"method": "POST", "url": "http://s.test/x"} | request}
    return http.prepare(Tool.from_document(document), input or {}, render=render)


def test_input_fills_url_headers_and_body() -> None:
    request = prepared(
        {"order": "4/2", "amount": 5},
        url="https://s.test/orders/{{ order }}?a={{ amount }}",
        headers={"X-Order": "no {{ order }}", "X-Amount": "{{ amount }}"},
        body={"order": "{{ order }}", "amount": "{{ amount }}", "note": "all of {{ amount }}"},
    )

    assert str(request.url) == "https://s.test/orders/4%2F2?a=5"
    assert request.headers == (
        ("X-Order", "no 4/2"),
        ("X-Amount", "5"),
        ("Content-Type", "application/json"),
    )
    assert json.loads(request.body or b"") == {"order": "4/2", "amount": 5, "note": "all of 5"}


def test_a_tool_without_body_sends_none() -> None:
    request = prepared({"order": "42"})

    assert request.body is None
    assert request.headers == ()


@pytest.mark.parametrize(
    ("media", "body", "expected"),
    [
        ("application/json", "{{ x }}", b'"a b"'),
        ("application/vnd.shop+json; v=1", ["{{ x }}"], b'["a b"]'),
        ("text/plain", "{{ x }}é", "a bé".encode()),
        ("application/x-www-form-urlencoded", {"x": "{{ x }}", "y": [1, 2]}, b"x=a+b&y=1&y=2"),
    ],
)
def test_the_content_type_says_how_the_body_is_written(media: str, body: Any, expected: bytes) -> None:
    assert prepared({"x": "a b"}, headers={"content-type": media}, body=body).body == expected


@pytest.mark.parametrize(
    "value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "a\x7fb", "☃", "\ud800", [1], None]
)
def test_headers_cannot_be_split_or_broken(value: Any) -> None:
    with pytest.raises(ToolError) as caught:
        prepared({"x": value}, headers={"X-Y": "{{ x }}"})

    assert caught.value.error_class == "invalid_request"
    assert caught.value.outcome_known


@given(st.text())
def test_no_header_value_breaks_its_line(value: str) -> None:
    try:
        request = prepared({"x": value}, headers={"X-Y": "{{ x }}"})
    except ToolError:
        return
    text = dict(request.headers)["X-Y"].encode("latin-1")
    assert not set(text) & {*range(9), *range(10, 32), 127}


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "idempotency-key", "X-Interlock-Run", "X-Interlock-Step", "Content-Length"),
        *("Transfer-Encoding", "Connection", "Proxy-Authorization", "a b", "a:b", "", "é", "X\r\nY"),
    ],
)
def test_headers_that_are_ours_or_no_names_are_refused(name: str) -> None:
    with pytest.raises(ToolError, match="may not set the header"):
        prepared(headers={name: "1"})


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": {1, 2}}])
def test_a_body_that_is_not_json_is_refused(body: Any) -> None:
    document = {"name": "t", "http": {"method": "POST", "url": "http://s.test/x", "body": body}}

    with pytest.raises(ToolError, match="cannot be sent"):
        http.prepare(Tool.from_document(document), {}, render=lambda value, scope: value)


def test_a_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(ToolError, match="cannot be sent"):
        prepared({"x": "\ud800"}, headers={"Content-Type": "text/plain"}, body="{{ x }}")


def test_a_missing_field_is_named() -> None:
    with pytest.raises(TemplateError, match="order"):
        prepared({}, body={"order": "{{ order }}"})


@pytest.mark.parametrize("url", ["{{ url }}", "https://{{ url }}/", "https://s.test{{ url }}"])
def test_input_may_not_choose_where_a_credential_goes(url: str) -> None:
    with pytest.raises(ToolError, match="credential"):
        prepared({"url": "x"}, url=url, credential="secret:shop")


@pytest.mark.parametrize(
    ("method", "effect", "follows"),
    [("GET", "read", True), ("GET", "idempotent", True), ("GET", "once", False), ("POST", "read", False)],
)
def test_only_gets_that_may_be_repeated_follow_redirects(method: str, effect: str, follows: bool) -> None:
    assert prepared(method=method, effect=effect).follows_redirects is follows


def test_a_python_tool_makes_no_request() -> None:
    with pytest.raises(ToolError, match="not called over HTTP"):
        http.prepare(Tool.from_document({"name": "t", "python": "a:b"}), {}, render=render)
