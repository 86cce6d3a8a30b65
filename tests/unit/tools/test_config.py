from __future__ import annotations

from typing import Any

import pytest

from workflows.tools.config import HttpTool, McpTool, Tool

REFUND: dict[str, Any] = {
    "kind": "Tool",
    "name": "refund",
    "description": "Refunds an order.",
    "input": {"type": "object", "required": ["order"]},
    "http": {
        "method": "post",
        "url": "https://shop.internal/refunds",
        "headers": {"X-Shop": "1"},
        "body": {"order": "{{ order }}"},
        "credential": "secret:shop",
    },
    "effect": "once",
    "timeout": "1500ms",
}


def test_a_document_becomes_a_tool() -> None:
    assert Tool.from_document(REFUND) == Tool(
        name="refund",
        description="Refunds an order.",
        input_schema={"type": "object", "required": ["order"]},
        effect="once",
        timeout_s=1.5,
        http=HttpTool(
            method="POST",
            url="https://shop.internal/refunds",
            headers={"X-Shop": "1"},
            body={"order": "{{ order }}"},
            credential="secret:shop",
        ),
    )


def test_a_document_of_an_mcp_tool_becomes_one() -> None:
    server: dict[str, Any] = {
        "url": "https://mcp.shop.internal/mcp",
        "headers": {"X-Shop": "1"},
        "credential": "secret:shop",
    }
    over_http = Tool.from_document({"name": "t", "mcp": {"server": server, "tool": "refund"}})
    started = Tool.from_document({"name": "t", "mcp": {"server": {"command": "files"}, "tool": "read"}})

    assert over_http.mcp == McpTool(tool="refund", **server)
    assert started.mcp == McpTool(tool="read", command="files")
    assert (over_http.credential, started.credential) == ("secret:shop", None)


def test_what_a_document_leaves_out_is_the_careful_choice() -> None:
    tool = Tool.from_document({"name": "t", "python": "shop.tools:refund"})

    assert (tool.effect, tool.timeout_s, tool.http, tool.python) == ("once", 30.0, None, "shop.tools:refund")
    assert tool.input_schema == {"type": "object"}
    assert Tool.from_document({"name": "t", "python": "a:b", "input": False}).input_schema is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"effect": "twice"},
        {"timeout": "soon"},
        {"http": None},
        {"python": "a:b"},
        {"mcp": {"server": {"command": "files"}, "tool": "read"}},
    ],
)
def test_a_document_that_describes_no_tool_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Tool.from_document(REFUND | wrong)
