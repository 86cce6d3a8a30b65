"""MCP servers over HTTP that are not public, not there, or not what they should be."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest

from tests.tools.mcp_calls import Server, failing
from tests.witness import Behaviour, Witness
from workflows.tools.mcp import call


@pytest.fixture(scope="module", autouse=True)
def _children() -> Iterator[None]:
    yield
    call.POOL.close()


@pytest.fixture
def server(witness: Witness) -> Server:
    return {"url": witness.url("/mcp")}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"])
def test_an_address_that_is_not_public_is_refused(host: str, witness: Witness) -> None:
    error = failing({"url": f"http://{host}:{witness.port}/mcp"}, "add", allow=())

    assert (error.error_class, error.outcome_known) == ("address_refused", True)
    assert "INTERLOCK_TOOL_ALLOW" in error.message
    assert witness.connections == 0


def test_a_host_that_the_settings_name_is_reached_under_its_name(witness: Witness) -> None:
    witness.behave("/mcp", Behaviour(status=401))

    error = failing(
        {"url": witness.url("/mcp", host="localhost")}, "add", allow=[f"localhost:{witness.port}"]
    )

    assert error.error_class == "tool_status"
    assert witness.calls[0].headers["host"] == f"localhost:{witness.port}"


def test_a_redirect_elsewhere_is_not_followed(witness: Witness, server: Server) -> None:
    with Witness() as elsewhere:
        there = Behaviour(status=307, headers={"Location": elsewhere.url("/mcp")})
        witness.behave("/mcp", there)

        error = failing(server, "add", credential="sesame-open")

        assert error.outcome_known
        assert elsewhere.calls == ()


def test_a_status_is_told_with_what_to_look_at(witness: Witness, server: Server) -> None:
    witness.behave("/mcp", Behaviour(status=401))

    error = failing(server, "add", credential="sesame-open")

    assert (error.error_class, error.status) == ("tool_status", 401)
    assert "look at its address and credential" in error.message
    assert "sesame" not in error.message


@pytest.mark.parametrize("fault", ["drop", "reset", "garbage", "truncate"])
def test_a_server_that_breaks_off_before_the_call_was_not_called(
    fault: str, witness: Witness, server: Server
) -> None:
    witness.behave("/mcp", Behaviour(fault=fault))

    error = failing(server, "add")

    assert error.outcome_known
    assert error.error_class in {"connect", "protocol_error"}


def test_a_server_that_never_answers_is_given_up_in_time(witness: Witness, server: Server) -> None:
    witness.behave("/mcp", Behaviour(fault="hang"))

    error = failing(server, "add", deadline_s=8)

    assert (error.error_class, error.outcome_known) == ("timeout", True)


def test_a_packed_reply_is_not_unpacked(witness: Witness, server: Server) -> None:
    packed = gzip.compress(json.dumps({"jsonrpc": "2.0", "id": 1, "result": {}}).encode())
    witness.behave("/mcp", Behaviour(body=packed.decode("latin-1"), headers={"Content-Encoding": "gzip"}))

    error = failing(server, "add")

    assert (error.error_class, error.outcome_known) == ("protocol_error", True)
    assert "encoded as gzip" in error.message


def test_only_the_call_itself_carries_the_key(witness: Witness, server: Server) -> None:
    """A gateway that answers a known key from its memory must not mix the call up with what came before it."""
    witness.behave("/mcp", Behaviour(status=404))

    failing(server, "add")

    assert {call.key for call in witness.calls} == {""}
    assert {call.headers["x-interlock-run"] for call in witness.calls} == {"r_1"}
