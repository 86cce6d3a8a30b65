"""How tests call a tool of an MCP server, and the servers that they call."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tests.tools.calls import Sending
from workflows.spec.templates import render
from workflows.tools.config import Tool
from workflows.tools.errors import ToolError
from workflows.tools.mcp import call

SERVER = (sys.executable, "-m", "tests.mcp_server")
OLD_SERVER = (sys.executable, "-m", "tests.mcp_old_server")
KEY = "k" * 64
Server = Mapping[str, Any]


@contextmanager
def serving() -> Iterator[str]:
    """Run the server over HTTP and yield its address."""
    process = subprocess.Popen([*SERVER, "http"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/mcp"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def calling(
    server: Server,
    tool: str,
    *,
    deadline_s: float = 40,
    sending: Callable[[], bool] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    allow: Sequence[str] = ("127.0.0.1",),
    credential: str | None = None,
    commands: Mapping[str, Sequence[str]] | None = None,
    effect: str = "once",
    **arguments: Any,
) -> Any:
    document = {"name": "orders", "input": {}, "effect": effect, "mcp": {"server": server, "tool": tool}}
    known = {"tests": [*SERVER, "stdio"], "old": OLD_SERVER} if commands is None else commands
    return call.send(
        call.prepare(Tool.from_document(document), arguments, render=render, commands=known),
        key=KEY,
        run_id="r_1",
        path="score[17]/judge",
        deadline_s=deadline_s,
        sending=sending or Sending(),
        cancelled=cancelled,
        allow=allow,
        credential=credential,
    )


def failing(server: Server, tool: str, **options: Any) -> ToolError:
    with pytest.raises(ToolError) as caught:
        calling(server, tool, **options)
    return caught.value
