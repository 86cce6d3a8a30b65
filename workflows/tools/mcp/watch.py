"""How far a call of an MCP server has come, and what ended it. Pure: imports nothing of the SDK.

The SDK swallows or rewrites what goes wrong inside its transports; what is noted here is what counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from workflows.tools.errors import ToolError


def _nothing() -> None: ...


@dataclass(kw_only=True)
class Watch:
    """`server` names it in messages. `left`: the request that calls the tool may have got to the server."""

    server: str
    max_bytes: int  # of one reply of the server
    left: bool = False
    status: int | None = None  # of the newest reply over HTTP, where it was one of an error
    complaint: str = (
        ""  # the end of what a server that was started says on its standard error before the call
    )
    error: ToolError | None = None
    stop: Callable[[], None] = field(default=_nothing)  # ends the call, whatever it waits for

    def unusable(self, error_class: str, why: str) -> ToolError:
        """Note a reply that cannot be used, end the call, and return the error to raise.

        Of the call itself its outcome is known, for a reply came; before it, the server is not fit to be called.
        """
        message = f"A reply of {self.server} {why}."
        error_class = error_class if self.left else "protocol_error"
        return self.ended(ToolError(error_class, message, outcome_known=True))

    def ended(self, error: ToolError) -> ToolError:
        """Note an error, end the call, and return the error to raise. The first one stays."""
        self.error = self.error or error
        self.stop()
        return self.error

    def lost(self, why: str) -> ToolError:
        """Return the error of a server that is gone: nothing was called, or nobody knows what came of it."""
        if self.left:
            message = f"{self.server} was lost during the call ({why}): its outcome is unknown."
            return ToolError("connection_lost", message, outcome_known=False)
        why = f"{why}; it says: {self.complaint}" if self.complaint else why
        message = f"{self.server} cannot be used ({why}): no tool was called."
        return ToolError("connect", message, outcome_known=True)

    def redirected(self, status: int) -> ToolError:
        """Note that a call which may be made once was answered by a redirect, end it, and return the error to raise."""
        message = (
            f"{self.server} redirected the call with status {status}. A call that may be made once is not sent again: "
            "correct the definition's `mcp.server.url`."
        )
        return self.ended(ToolError("tool_status", message, outcome_known=True, status=status))

    def too_large(self) -> ToolError:
        return self.unusable("too_large", f"is larger than {self.max_bytes // (1024 * 1024)} MB")
