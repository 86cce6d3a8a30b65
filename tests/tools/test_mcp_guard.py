"""The HTTP transport under the SDK's client: which addresses it reaches, and which replies it lets through."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx2
import pytest

from tests.tools.calls import resolving
from tests.witness import Behaviour, Witness
from workflows.tools.errors import ToolError
from workflows.tools.guard import Allowed
from workflows.tools.mcp import guarded
from workflows.tools.mcp.watch import Watch

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


def post(
    *urls: str, message: Any = CALL, allow: Sequence[str] = ("127.0.0.1",), watch: Watch | None = None
) -> list[int]:
    """Post a message to one address after the other, with one client; return the statuses."""

    async def exchange() -> list[int]:
        seen = watch or Watch(server="MCP server shop", max_bytes=100_000)
        async with guarded.client([], watch=seen, allowed=Allowed.parse(allow), key="k", once=True) as client:
            return [(await client.post(url, json=message)).status_code for url in urls]

    with ThreadPoolExecutor(1) as thread:  # of its own: after tests in a browser this one has an event loop
        return thread.submit(anyio.run, exchange).result()


def test_a_name_is_resolved_and_checked_for_every_request(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolving(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
    url = witness.url("/mcp", host="shop.test")

    with pytest.raises(ToolError, match=r"10\.0\.0\.1 \(private\), which is not public"):
        post(url, url)

    assert len(asked) == 2
    assert len(witness.calls) == 1
    assert witness.calls[0].headers["host"] == f"shop.test:{witness.port}"


def test_the_next_address_is_tried_where_one_cannot_be_reached(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["::1", "127.0.0.1"])

    assert post(witness.url("/mcp", host="shop.test"), allow=["127.0.0.1", "::1"]) == [200]


def test_a_call_that_found_no_connection_has_not_left(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["::1"])
    watch = Watch(server="MCP server shop", max_bytes=100_000)

    with pytest.raises(httpx2.ConnectError):
        post("http://shop.test:9/mcp", allow=["127.0.0.1", "::1"], watch=watch)

    assert not watch.left


def test_a_certificate_has_to_be_of_the_name(
    secure: Witness, trusted: None, names: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.1"])

    assert post(secure.url("/mcp", host="shop.test")) == [200]
    assert names == ["shop.test"]
    with pytest.raises(httpx2.ConnectError, match="certificate"):
        post(secure.url("/mcp", host="other.test"))


def test_no_proxy_is_asked(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    with Witness() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        post(witness.url("/mcp"))

    assert proxy.calls == ()
    assert len(witness.calls) == 1


@pytest.mark.parametrize(("message", "key"), [(CALL, "k"), (LIST, "")])
def test_only_the_call_carries_its_key(message: Any, key: str, witness: Witness) -> None:
    post(witness.url("/mcp"), message=message)

    assert witness.calls[0].key == key


@pytest.mark.parametrize(
    ("behaviour", "error_class"),
    [
        (Behaviour(body="x" * 200_000, headers={"Content-Type": "application/json"}), "too_large"),
        (
            Behaviour(
                body=gzip.compress(b"{}", mtime=0).decode("latin-1"),
                headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
            ),
            "malformed_body",
        ),
        (Behaviour(body="<html>", headers={"Content-Type": "text/html"}), "malformed_body"),
        (Behaviour(status=202, body=""), "malformed_body"),
    ],
)
def test_a_reply_that_cannot_be_used_is_known_and_ends_everything(
    behaviour: Behaviour, error_class: str, witness: Witness
) -> None:
    witness.behave("/mcp", behaviour)
    stopped: list[bool] = []
    watch = Watch(server="MCP server shop", max_bytes=100_000, stop=lambda: stopped.append(True))

    with pytest.raises(ToolError) as caught:
        post(witness.url("/mcp"), watch=watch)

    assert (caught.value.error_class, caught.value.outcome_known) == (error_class, True)
    assert stopped
    with pytest.raises(ToolError):
        post(witness.url("/mcp"), watch=watch)
    assert len(witness.calls) == 1
