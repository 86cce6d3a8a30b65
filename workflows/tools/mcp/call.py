"""Call a tool of an MCP server: make the request from its document, then make the call in a child process.

`prepare` is pure. The child (child.py) connects, or starts the server, and looks for the tool; then the call is
marked; then the child is told to go. A child that hangs, crashes or is not wanted any more is killed, and a
server that it started ends with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflows.tools import children, replies, requests, urls
from workflows.tools.config import Tool
from workflows.tools.dialogue import Dialogue
from workflows.tools.errors import ToolError, refused
from workflows.tools.guard import Allowed
from workflows.tools.mcp import results
from workflows.tools.urls import Render
from workflows.tools.waiting import Patience, never

MAX_OUTPUT = 4 * 1024 * 1024  # bytes: of one reply, and again of the result's JSON
MAX_ANSWER = MAX_OUTPUT + 64 * 1024  # of the child's answer around it
# At once, in one process. They wait more than they work, so the machine's cores are no measure.
CHILDREN = 8
GO = b"go\n"  # the child's second line
POOL = children.shared("workflows.tools.mcp.child", size=CHILDREN)

Json = Any
Commands = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class McpRequest:
    """A call ready to be made, but for the credential and what ties it to its run.

    `server`: {url, headers} or {command}; `where` names it in messages. `once`: it may not be sent a second time.
    """

    tool: str
    where: str
    server: Mapping[str, Json]
    arguments: Mapping[str, Json]
    once: bool


def prepare(tool: Tool, arguments: Mapping[str, Json], *, render: Render, commands: Commands) -> McpRequest:
    """Say which server is called, and how. `commands` is INTERLOCK_MCP_COMMANDS.

    Raises: ToolError(invalid_request | not_allowed), and what `render` raises.
    """
    mcp = tool.mcp
    if mcp is None:
        raise refused("invalid_request", f"Tool {tool.name} is not one of an MCP server.")
    server: dict[str, Json]
    if mcp.command is not None:
        command = commands.get(mcp.command)
        if command is None:
            raise refused(
                "not_allowed",
                f"The settings have no command {mcp.command!r} for tool {tool.name}: "
                "add it to INTERLOCK_MCP_COMMANDS.",
            )
        server, where = {"command": list(command)}, f"MCP server {mcp.command}"
    else:
        url = urls.parse(mcp.url or "")
        headers = requests.headers(mcp.headers, arguments, tool=tool.name, render=render)
        server, where = {"url": str(url), "headers": headers}, f"MCP server {url.origin}"
    once = tool.effect == "once"
    return McpRequest(tool=mcp.tool, where=where, server=server, arguments=arguments, once=once)


def send(
    request: McpRequest,
    *,
    key: str,
    run_id: str,
    path: str,
    deadline_s: float,
    sending: Callable[[], bool],
    cancelled: Callable[[], bool] = never,
    allow: Sequence[str] = (),
    credential: str | None = None,
) -> Json:
    """Call the tool and return its output, all within `deadline_s` seconds.

    `sending` is called once, when the server has answered and has the tool, before the tool is called; if it
    returns False, it is not. `credential` is the secret itself; `allow` is INTERLOCK_TOOL_ALLOW.

    Raises: ToolError; LeaseLost; what `sending` raises.
    """
    Allowed.parse(allow)  # what is wrong with a setting is told here
    ties = {"X-Interlock-Run": run_id, "X-Interlock-Step": path}
    message = {
        "name": request.where,
        "server": _with_headers(request.server, ties, credential),
        "tool": request.tool,
        "arguments": dict(request.arguments),
        "once": request.once,
        "meta": {"Idempotency-Key": key, **ties},
        "key": key,
        "allow": list(allow),
        "max_output": MAX_OUTPUT,
    }
    line = _line(message, request)
    patience = Patience.within(deadline_s, cancelled=cancelled)
    with Dialogue(POOL, f"{request.tool} at {request.where}", patience, max_answer=MAX_ANSWER) as dialogue:
        found = _read(dialogue.ask(line), credential)
        if "error" not in found:
            dialogue.mark(sending)
            found = _read(dialogue.ask(GO), credential)
    return _output(found)


def _with_headers(
    server: Mapping[str, Json], ties: Mapping[str, str], credential: str | None
) -> Mapping[str, Json]:
    """The server with all headers that its requests carry; one that is started gets none."""
    if "url" not in server:
        return server
    own = (*ties.items(), ("Accept-Encoding", "identity"), ("User-Agent", "interlock"))
    pairs = (*own, *requests.authorization(credential), *server["headers"])
    return {**server, "headers": requests.checked(pairs, with_defaults=False)}


def _line(message: Mapping[str, Json], request: McpRequest) -> bytes:
    try:
        return json.dumps(message, allow_nan=False).encode("ascii") + b"\n"
    except (TypeError, ValueError) as error:
        raise refused("invalid_request", f"The input of {request.tool} is no JSON object: {error}.") from None


def _read(answer: bytes, credential: str | None) -> dict[str, Json]:
    """Read the child's answer, without the secret that the server was sent."""
    quoted = json.dumps(credential.strip())[1:-1] if credential else None
    found: dict[str, Json] = json.loads(replies.without(answer, quoted))
    return found


def _output(found: Mapping[str, Json]) -> Json:
    if "error" not in found:
        return found["output"]
    raise ToolError(
        found["error"],
        results.cut(found["message"]),
        outcome_known=found["known"],
        status=found["status"],
    )
