"""What runs in the child process of MCP tools: `python -m workflows.tools.mcp.child PARENT_PID`.

A call is two lines each way. The first names server, tool and arguments; the answer says that the server is there
and has the tool. The second, `go`, calls it. It is the only module that imports the official SDK with its
event loop: whatever hangs, leaks or crashes there ends with this process.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, BinaryIO

import anyio
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, Implementation

from workflows.tools.child import described, die_with, private_pipes, write
from workflows.tools.errors import ToolError
from workflows.tools.guard import Allowed
from workflows.tools.mcp import failures, guarded, results, stdio
from workflows.tools.mcp.watch import Watch

_GOODBYE_S = 1.0  # for taking leave of a server after the answer
_MAX_PAGES = 100  # of a server's list of tools

Json = Any


def main(parent: int) -> None:
    """Serve calls until the parent closes the pipe."""
    die_with(parent)
    logging.disable()  # the SDK's log quotes what servers say
    requests, answers = private_pipes()
    write(answers, b"ready")
    for line in requests:
        anyio.run(_Call(json.loads(line), requests, answers).serve)


class _Call:
    """One call; `asked` is the parent's first line."""

    def __init__(self, asked: Mapping[str, Json], requests: BinaryIO, answers: BinaryIO) -> None:
        self._asked, self._requests, self._answers = asked, requests, answers
        self._watch = Watch(server=asked["name"], max_bytes=asked["max_output"])
        self._is_over = self._is_ready = False

    async def serve(self) -> None:
        """Make the call and answer, once; then take leave of the server, but not for long."""
        with anyio.CancelScope() as self._scope:
            self._watch.stop = self._scope.cancel
            try:
                await self._talk()
            except BaseException as error:
                if not self._is_over:
                    self._fail(failures.named(error, self._watch))
        if not self._is_over:
            self._fail(self._watch.error or self._watch.lost("it was stopped"))

    async def _talk(self) -> None:
        asked = self._asked
        me = Implementation(name="interlock", version="1")
        async with self._transport() as transport, Client(transport, client_info=me, cache=None) as client:
            await self._find(client)
            await self._told_to_go()
            result = await client.call_tool(asked["tool"], asked["arguments"], meta=asked["meta"])
            self._finish(result)

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Any]:
        """The way to the server, not yet entered: the client does that."""
        server = self._asked["server"]
        if "command" in server:
            yield stdio.server(server["command"], self._watch)
            return
        allowed = Allowed.parse(self._asked["allow"])
        async with guarded.client(
            server["headers"],
            watch=self._watch,
            allowed=allowed,
            key=self._asked["key"],
            once=self._asked["once"],
        ) as http:
            yield streamable_http_client(
                server["url"], http_client=http, max_sse_event_size=self._watch.max_bytes
            )

    async def _find(self, client: Client) -> None:
        """Look whether the server has the tool. Then its result can be checked without asking again.

        Raises: ToolError(unknown_tool).
        """
        wanted, names, cursor = self._asked["tool"], [], None
        for _ in range(_MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            names += [tool.name for tool in page.tools]
            cursor = page.next_cursor
            if cursor is None or wanted in names:
                break
        if wanted not in names:
            raise failures.unknown_tool(wanted, names, self._watch)

    async def _told_to_go(self) -> None:
        self._is_ready = True
        write(self._answers, b"{}")
        await anyio.wait_readable(self._requests)
        self._hear()

    def _hear(self) -> None:
        """Read the parent's second line, which follows whatever happens in between, or the parent kills us."""
        self._is_ready = False
        self._requests.readline()

    def _finish(self, result: CallToolResult) -> None:
        as_told = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        if "structuredContent" in as_told:  # in which the dump makes null of numbers that JSON has not
            as_told["structuredContent"] = result.structured_content
        if result.is_error:
            message = f"{self._asked['tool']} at {self._watch.server} failed: {results.said(as_told)}"
            return self._fail(ToolError("tool_error", message, outcome_known=True))
        try:
            line = json.dumps({"output": results.output(as_told)}, allow_nan=False).encode("ascii")
        except ValueError as error:
            return self._fail(self._watch.unusable("malformed_body", f"is no JSON ({described(error)})"))
        if len(line) > self._watch.max_bytes:
            return self._fail(self._watch.too_large())
        return self._over(line)

    def _fail(self, error: ToolError) -> None:
        answer = {
            "error": error.error_class,
            "message": error.message,
            "known": error.outcome_known,
            "status": error.status,
        }
        self._over(json.dumps(answer).encode("ascii"))

    def _over(self, line: bytes) -> None:
        self._is_over = True
        if self._is_ready:  # it failed while the parent had its turn
            self._hear()
        write(self._answers, line)
        self._scope.deadline = anyio.current_time() + _GOODBYE_S


if __name__ == "__main__":
    main(int(sys.argv[1]))
