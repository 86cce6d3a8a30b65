"""A bound on every request's body, kept before Django sees it: Django would first write all of it to disk.

Pure ASGI; knows no view. What each address takes is smaller and checked there.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from console import formats, problems
from console.problems import Problem

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

# Most clients read an answer only after they have sent everything: so long, it is thrown away.
DRAIN_S: Final = 30.0


class _TooLargeError(Exception):
    pass


class BodyLimit:
    """Wraps an application; answers 413 instead of it."""

    def __init__(self, app: App, *, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = _announced(scope)
        if announced is not None and announced > self.limit:
            await self._refuse(scope, receive, send)
            return
        try:
            await self.app(scope, self._counted(receive), send)
        except _TooLargeError:
            await self._refuse(scope, receive, send)

    def _counted(self, receive: Receive) -> Receive:
        """Count what comes: a chunked body announces no size."""
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message: Message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise _TooLargeError
            return message

        return counted

    async def _refuse(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        problem = Problem(
            status=413,
            code="too_large",
            detail=f"The request's body is larger than {formats.size(self.limit)}. Nothing was changed.",
        )
        is_api = problems.is_api(scope.get("path", ""))
        kind = problems.MEDIA_TYPE if is_api else "text/plain; charset=utf-8"
        request_id = secrets.token_hex(8)
        body = problems.body(problem, request_id) if is_api else problem.detail.encode()
        headers = [
            (b"content-type", kind.encode()),
            (b"connection", b"close"),
            (b"x-request-id", request_id.encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        if _header(scope, b"expect") is None:  # with it, the client sends nothing before it is told to
            await _drain(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drain(receive: Receive) -> None:
    end = time.monotonic() + DRAIN_S
    while time.monotonic() < end:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            return


def _announced(scope: MutableMapping[str, Any]) -> int | None:
    length = _header(scope, b"content-length")
    return int(length) if length is not None and length.isdigit() else None


def _header(scope: MutableMapping[str, Any], wanted: bytes) -> bytes | None:
    return next((value for name, value in scope.get("headers", ()) if name == wanted), None)
