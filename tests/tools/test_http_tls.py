"""Calls over TLS against a real server on loopback."""

from __future__ import annotations

import pytest

from tests.tools.calls import Sending, call, failing, resolving
from tests.witness import Witness


def test_the_name_is_kept_and_the_mark_comes_after_the_handshake(
    secure: Witness, trusted: None, names: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.1"])
    sending = Sending(takes_s=0.05)

    reply = call(secure.url("/x", host="shop.test"), sending=sending, body={"large": "x" * 300_000})

    (seen,) = secure.calls
    assert reply.body == {"ok": True}
    assert names == ["shop.test"]
    assert seen.headers["host"] == f"shop.test:{secure.port}"
    assert seen.first_byte_at >= sending.answered_at
    assert seen.connected_at < sending.answered_at


def test_a_certificate_of_another_name_is_refused_before_anything_is_sent(
    secure: Witness, trusted: None
) -> None:
    sending = Sending()

    error = failing(secure.url("/x"), sending=sending)

    assert (error.error_class, error.outcome_known, sending.times) == ("connect", True, [])
    assert "certificate" in error.message
    assert secure.calls == ()


def test_a_certificate_that_nobody_vouches_for_is_refused(
    secure: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.1"])

    error = failing(secure.url("/x", host="shop.test"))

    assert (error.error_class, error.outcome_known) == ("connect", True)
    assert secure.calls == ()


def test_a_server_without_tls_gets_nothing_that_it_could_read(trusted: None) -> None:
    with Witness() as plain:
        error = failing(plain.url("/x").replace("http:", "https:"))

        assert (error.error_class, error.outcome_known) == ("connect", True)
        assert plain.calls == ()
