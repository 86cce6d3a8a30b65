"""Redirects, private addresses and names that change, against real servers on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from tests.tools.calls import Sending, call, failing, resolving
from tests.witness import Behaviour, Witness


@pytest.mark.parametrize("count", [1, 5])
def test_a_get_follows_a_few_redirects(witness: Witness, count: int) -> None:
    for hop in range(count):
        witness.behave(f"/{hop}", Behaviour(status=302, headers={"Location": f"{hop + 1}"}))
    sending = Sending()

    reply = call(witness.url("/0"), method="GET", effect="read", credential="secret", sending=sending)

    assert reply.body == {"ok": True}
    assert [seen.path for seen in witness.calls] == [f"/{hop}" for hop in range(count + 1)]
    assert {seen.headers["authorization"] for seen in witness.calls} == {"Bearer secret"}
    assert {seen.key for seen in witness.calls} == {"k" * 64}
    assert len(sending.times) == 1


def test_a_get_does_not_follow_for_ever(witness: Witness) -> None:
    witness.behave("/x", Behaviour(status=302, headers={"Location": "/x"}))

    error = failing(witness.url("/x"), method="GET", effect="read")

    assert (error.error_class, error.status, error.outcome_known) == ("tool_status", 302, True)
    assert len(witness.calls) == 6


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("method", "effect"), [("GET", "once"), ("POST", "once"), ("POST", "read"), ("POST", "idempotent")]
)
def test_nothing_else_follows_redirects(witness: Witness, method: str, effect: str, status: int) -> None:
    witness.behave("/x", Behaviour(status=status, headers={"Location": "/y"}))

    error = failing(witness.url("/x"), method=method, effect=effect)

    assert (error.error_class, error.status, error.outcome_known) == ("tool_status", status, True)
    assert [seen.path for seen in witness.calls] == ["/x"]


def test_another_origin_gets_no_credential_and_none_of_the_authors_headers(witness: Witness) -> None:
    with Witness() as other:
        witness.behave("/x", Behaviour(status=302, headers={"Location": other.url("/y")}))
        headers = {"X-Api-Key": "secret", "Cookie": "a=b"}
        call(witness.url("/x"), method="GET", effect="read", credential="secret", headers=headers)

        (seen,) = other.calls
    assert not {"authorization", "x-api-key", "cookie"} & set(seen.headers)
    assert seen.key == "k" * 64


def test_a_redirect_to_a_private_address_is_refused(witness: Witness) -> None:
    with Witness() as inside:
        witness.behave("/x", Behaviour(status=302, headers={"Location": inside.url("/y")}))
        allow = (f"127.0.0.1:{witness.port}",)
        error = failing(witness.url("/x"), method="GET", effect="read", allow=allow)

        assert error.error_class == "address_refused"
        assert inside.connections == 0


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://2130706433/", "http://a:b@127.0.0.1/"])
def test_a_redirect_to_an_odd_url_is_refused(witness: Witness, location: str) -> None:
    witness.behave("/x", Behaviour(status=302, headers={"Location": location}))

    assert failing(witness.url("/x"), method="GET", effect="read").error_class == "invalid_request"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_private_addresses_are_refused_before_any_connection(witness: Witness, host: str) -> None:
    sending = Sending()

    error = failing(witness.url(host=host), allow=(), sending=sending)

    assert (error.error_class, error.outcome_known) == ("address_refused", True)
    assert (witness.connections, sending.times) == (0, [])


@pytest.mark.parametrize(
    "entry", ["localhost", "127.0.0.0/8", "127.0.0.1", "localhost:{port}", "127.0.0.1:{port}"]
)
def test_the_settings_open_a_private_address(witness: Witness, entry: str) -> None:
    reply = call(witness.url(host="localhost"), allow=(entry.format(port=witness.port),))

    assert reply.status == 200
    assert witness.calls[0].headers["host"] == f"localhost:{witness.port}"


def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolving(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])

    call(witness.url(host="rebinding.test"), allow=("127.0.0.1",))

    assert asked == ["rebinding.test"]
    assert witness.calls[0].headers["host"] == f"rebinding.test:{witness.port}"


def test_a_name_that_is_rebound_between_redirects_is_refused(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
    witness.behave("/x", Behaviour(status=302, headers={"Location": "/y"}))

    error = failing(
        witness.url("/x", host="rebinding.test"), method="GET", effect="read", allow=("127.0.0.1",)
    )

    assert error.error_class == "address_refused"
    assert [seen.path for seen in witness.calls] == ["/x"]


@pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
def test_an_address_that_refuses_leaves_room_for_the_next(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.2", "127.0.0.1"])
    sending = Sending()

    # The witness listens on 127.0.0.1 only.
    call(witness.url(host="shop.test"), allow=("127.0.0.0/8",), sending=sending)

    assert len(sending.times) == 1


@pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
def test_an_address_that_is_silent_leaves_time_for_the_next(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.2", "127.0.0.1"])
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.2", witness.port), backlog=0))
        for _ in range(3):  # what does not fit the backlog is left without an answer
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        reply = call(witness.url(host="shop.test"), allow=("127.0.0.0/8",), deadline_s=0.6)

    assert reply.status == 200
    assert reply.timing_ms["connect"] > 200


def test_a_resolver_that_hangs_does_not_outlast_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    awake = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: awake.wait(5) or [])

    error = failing("http://slow.test/", deadline_s=0.2)

    awake.set()
    assert (error.error_class, error.outcome_known) == ("timeout", True)
