"""Calls against a real server on loopback."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from typing import Any

import pytest

from tests.tools.calls import Sending, call, failing
from tests.witness import Behaviour, Witness
from workflows.tools import replies
from workflows.tools.errors import LeaseLost, ToolError


def test_a_call_carries_its_key_run_and_step(witness: Witness) -> None:
    reply = call(witness.url("/refunds?a=b"), body={"order": "42"}, headers={"X-Shop": "1"})

    (seen,) = witness.calls
    assert (seen.method, seen.path, seen.json) == ("POST", "/refunds?a=b", {"order": "42"})
    assert seen.key == "k" * 64
    assert seen.headers["x-interlock-run"] == "r_1"
    assert seen.headers["x-interlock-step"] == "score[17]/judge"
    assert seen.headers["x-shop"] == "1"
    assert seen.headers["host"] == f"127.0.0.1:{witness.port}"
    assert seen.headers["content-type"] == "application/json"
    assert (reply.status, reply.body) == (200, {"ok": True})
    assert 0 < reply.timing_ms["connect"] <= reply.timing_ms["first_byte"] <= reply.timing_ms["total"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "POST", "HEAD"])
def test_every_method_works_without_a_body(witness: Witness, method: str) -> None:
    witness.behave("/x", Behaviour(body=""))

    assert call(witness.url("/x"), method=method).body == {"text": ""}
    assert [(seen.method, seen.body) for seen in witness.calls] == [(method, "")]


def test_the_mark_is_set_after_connecting_and_before_the_first_byte(witness: Witness) -> None:
    sending = Sending(takes_s=0.1)

    call(witness.url(), body={"large": "x" * 300_000}, sending=sending)

    (seen,) = witness.calls
    assert len(sending.times) == 1
    assert seen.connected_at < sending.answered_at - 0.05
    assert seen.first_byte_at >= sending.answered_at
    assert seen.complete


def test_nothing_is_written_when_the_lease_is_lost(witness: Witness) -> None:
    with pytest.raises(LeaseLost):
        call(witness.url(), sending=Sending(False))

    time.sleep(0.05)
    assert witness.connections == 1
    assert witness.calls == ()


def test_nothing_is_written_when_the_mark_cannot_be_set(witness: Witness) -> None:
    def sending() -> bool:
        raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError, match="away"):
        call(witness.url(), sending=sending)

    time.sleep(0.05)
    assert witness.calls == ()


def test_time_that_the_mark_uses_up_leaves_nothing_sent(witness: Witness) -> None:
    error = failing(witness.url(), sending=Sending(takes_s=0.2), deadline_s=0.1)

    assert (error.error_class, error.outcome_known) == ("timeout", True)
    assert witness.calls == ()


def test_a_refused_connection_is_known_and_not_marked() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        sending = Sending()
        error = failing(f"http://127.0.0.1:{taken.getsockname()[1]}/", sending=sending)

    assert (error.error_class, error.outcome_known, sending.times) == ("connect", True, [])
    assert "nothing was sent" in error.message


def test_a_name_that_does_not_resolve_is_known() -> None:
    error = failing("http://nowhere.invalid/")

    assert (error.error_class, error.outcome_known) == ("connect", True)
    assert "nowhere.invalid" in error.message


@pytest.mark.parametrize("fault", ["drop", "drop_unread", "reset", "garbage", "truncate", "reset_mid_body"])
def test_a_break_after_sending_is_unknown(witness: Witness, fault: str) -> None:
    witness.behave("/x", Behaviour(fault=fault))

    error = failing(witness.url("/x"), body={"large": "x" * 1_000_000} if fault == "drop_unread" else None)

    assert (error.error_class, error.outcome_known) == ("connection_lost", False)
    assert len(witness.calls) == 1
    assert witness.connections == 1


@pytest.mark.parametrize("fault", ["hang", "hang_mid_body", "drip"])
def test_no_reply_outlasts_the_deadline(witness: Witness, fault: str) -> None:
    witness.behave("/x", Behaviour(fault=fault, body={"text": "x" * 100}))
    began_at = time.monotonic()

    error = failing(witness.url("/x"), deadline_s=0.3)

    assert (error.error_class, error.outcome_known) == ("timeout", False)
    assert time.monotonic() - began_at < 0.5
    assert len(witness.calls) == 1


def test_a_server_that_takes_nothing_does_not_outlast_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = failing(
            f"http://127.0.0.1:{server.getsockname()[1]}/", body={"x": "y" * 12_000_000}, deadline_s=0.3
        )

    assert (error.error_class, error.outcome_known) == ("timeout", False)


def test_a_call_ends_when_it_is_cancelled(witness: Witness) -> None:
    witness.behave("/x", Behaviour(fault="hang"))
    cancelled = threading.Event()
    threading.Timer(0.1, cancelled.set).start()

    error = failing(witness.url("/x"), cancelled=cancelled.is_set)

    assert (error.error_class, error.outcome_known) == ("cancelled", False)


def test_a_call_that_is_cancelled_before_it_began_sends_nothing(witness: Witness) -> None:
    error = failing(witness.url("/x"), cancelled=lambda: True)

    assert (error.error_class, error.outcome_known) == ("cancelled", True)
    assert witness.calls == ()


@pytest.mark.parametrize("status", [199 + 101, 302, 304, 400, 404, 409, 422, 429, 500, 503])
def test_a_reply_other_than_2xx_is_a_known_error(witness: Witness, status: int) -> None:
    body = "" if status == 304 else "no such\norder " + "x" * 5_000
    witness.behave("/x", Behaviour(status=status, body=body, headers={"Location": "/elsewhere"}))

    error = failing(witness.url("/x"))

    assert (error.error_class, error.status, error.outcome_known) == ("tool_status", status, True)
    assert len(error.message) < 600
    if status >= 400:
        assert "no such order" in error.message
    assert len(witness.calls) == 1


def test_an_error_reply_that_breaks_off_is_still_known(witness: Witness) -> None:
    witness.behave("/x", Behaviour(status=500, body="x" * 100, fault="reset_mid_body"))

    error = failing(witness.url("/x"))

    assert (error.error_class, error.status, error.outcome_known) == ("tool_status", 500, True)


@pytest.mark.parametrize(
    ("media", "body", "expected"),
    [
        ("application/json", '{"a": [1, null]}', {"a": [1, None]}),
        ("application/problem+json; charset=utf-8", "7", 7),
        (None, '{"a": 1}', {"a": 1}),
        (None, "plain", {"text": "plain"}),
        ("text/plain", "42", {"text": "42"}),
        ("application/json", "", {"text": ""}),
        (None, "", {"text": ""}),
        ("text/html; charset=latin-1", "é", {"text": "Ã©"}),
        ("text/plain; charset=nonsense", "é", {"text": "é"}),
        ("text/plain; charset=hex", "é", {"text": "é"}),
        ("application/json", '{"a": "\\ud800\\u0000"}', {"a": "\ud800\0"}),
    ],
)
def test_a_body_is_json_or_text(witness: Witness, media: str | None, body: str, expected: Any) -> None:
    witness.behave("/x", Behaviour(status=201, body=body, headers={"Content-Type": media} if media else {}))

    reply = call(witness.url("/x"))

    assert (reply.status, reply.body) == (201, expected)


@pytest.mark.parametrize("body", ["{", "[1,]", "NaN", "1e999", "[" * 100_000, "9" * 5_000])
def test_malformed_json_is_known(witness: Witness, body: str) -> None:
    witness.behave("/x", Behaviour(body=body, headers={"Content-Type": "application/json"}))

    error = failing(witness.url("/x"))

    assert (error.error_class, error.status, error.outcome_known) == ("malformed_body", 200, True)
    assert len(error.message) < 400


def test_a_reply_that_is_too_large_is_known(witness: Witness) -> None:
    witness.behave("/x", Behaviour(body="x" * (replies.MAX_BODY + 1)))

    error = failing(witness.url("/x"))

    assert (error.error_class, error.status, error.outcome_known) == ("too_large", 200, True)


def test_packed_replies_are_unpacked_within_bounds() -> None:
    packed = {"content-encoding": "gzip", "content-type": "application/json"}
    bomb = gzip.compress(b"0" * 8 * 1024 * 1024)

    assert replies.value(gzip.compress(b'{"a": 1}'), packed, tool="t", status=200) == {"a": 1}
    for raw, error_class in ((bomb, "too_large"), (b"nonsense", "malformed_body")):
        with pytest.raises(ToolError) as caught:
            replies.value(raw, packed, tool="t", status=200)
        assert caught.value.error_class == error_class
    with pytest.raises(ToolError, match="not asked for"):
        replies.value(b"x", {"content-encoding": "br"}, tool="t", status=200)


def test_the_credential_is_sent_and_not_recorded(witness: Witness) -> None:
    secret = "s3cret-of-the-shop"
    echoed = Behaviour(body={"got": f"Bearer {secret}"}, headers={"X-Echo": secret, "Set-Cookie": "a=b"})
    witness.behave("/x", echoed, Behaviour(status=401, body=f"bad {secret}"))

    reply = call(witness.url("/x"), credential=secret)
    error = failing(witness.url("/x"), credential=secret)

    assert [seen.headers["authorization"] for seen in witness.calls] == [f"Bearer {secret}"] * 2
    assert secret not in json.dumps([reply.body, dict(reply.headers), error.message])
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(("credential", "header"), [("Basic YTpi", "Basic YTpi"), ("abc\n", "Bearer abc")])
def test_a_credential_may_name_its_scheme(witness: Witness, credential: str, header: str) -> None:
    call(witness.url("/x"), credential=credential)

    assert witness.calls[0].headers["authorization"] == header


def test_a_credential_that_would_split_the_header_is_refused(witness: Witness) -> None:
    error = failing(witness.url("/x"), credential="a\r\nX-Evil: 1")

    assert error.error_class == "invalid_request"
    assert "Evil" not in error.message
    assert witness.connections == 0


def test_proxies_of_the_environment_are_not_used(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    with Witness() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        call(witness.url())

        assert proxy.connections == 0


def test_each_call_has_its_own_connection(witness: Witness) -> None:
    for _ in range(3):
        call(witness.url())

    assert (witness.connections, len(witness.calls)) == (3, 3)
