"""A real MCP server, made with the SDK: `python -m tests.mcp_server stdio|http`.

Over HTTP it prints its port first. Its tools do what tools of others may do; `notes` is where they leave word.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ImageContent, TextContent
from starlette.requests import Request
from starlette.responses import RedirectResponse

from workflows.tools.child import die_with

server = MCPServer("tests")


@server.tool()
def add(first: int, second: int = 0) -> dict[str, int]:
    return {"sum": first + second}


@server.tool()
def told(context: Context[Any]) -> dict[str, Any]:
    """What came with the call: the metadata, and the headers where there are any."""
    request = getattr(context.request_context, "request", None)
    meta = context.request_context.meta or {}
    return {"meta": dict(meta), "headers": {} if request is None else dict(request.headers)}


@server.tool()
def environment() -> dict[str, Any]:
    return {"names": sorted(os.environ)}


@server.tool()
def words() -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text="one"), TextContent(type="text", text="two")]
    )


@server.tool()
def picture() -> CallToolResult:
    return CallToolResult(
        content=[
            TextContent(type="text", text="look"),
            ImageContent(type="image", data="AAAA", mime_type="image/png"),
        ]
    )


@server.tool()
def fails(order: str) -> dict[str, Any]:
    raise ToolError(f"there is no order {order}; " + "x" * 100_000)


@server.tool()
def find_order(number: str) -> dict[str, str]:
    """Find an order, as the example's server does."""
    if number != "A-17":
        raise ToolError(f"there is no order {number}")
    return {"number": number, "state": "on its way"}


@server.tool()
def large(size: int, notes: str = "") -> CallToolResult:
    if notes:
        counts(notes)
    return CallToolResult(content=[TextContent(type="text", text="x" * size)])


@server.tool()
def dies(notes: str) -> dict[str, Any]:
    Path(notes).write_text(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


@server.tool()
def hangs(notes: str) -> dict[str, Any]:
    """Leave word, and never answer."""
    Path(notes).write_text(str(os.getpid()))
    time.sleep(600)
    return {}


@server.tool()
def counts(notes: str) -> dict[str, int]:
    """Counts the calls in a file."""
    file = Path(notes)
    with file.open("a") as found:
        found.write(".")
    return {"calls": len(file.read_text())}


async def moved(request: Request) -> RedirectResponse:
    """Say that the server is somewhere else: at its usual address."""
    return RedirectResponse("/mcp", int(request.path_params["status"]))


def main(transport: str) -> None:
    if transport == "stdio":
        return server.run("stdio")
    die_with(os.getppid())
    sock = socket.create_server(("127.0.0.1", 0))
    print(sock.getsockname()[1], flush=True)  # noqa: T201
    app = server.streamable_http_app()
    app.add_route("/moved/{status}", moved, methods=["GET", "POST", "DELETE"])
    config = uvicorn.Config(app, log_level="error")
    return uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main(sys.argv[1])
