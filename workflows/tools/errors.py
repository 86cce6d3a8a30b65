"""The one error family of tool calls. Pure: imports nothing of the project."""

from __future__ import annotations

# error class → what it says.
ERROR_CLASSES: dict[str, str] = {
    "invalid_request": "the tool's templates and its input make no request that could be sent",
    "address_refused": "the address is not public and the settings do not allow it",
    "not_allowed": "the settings do not allow this Python function, or have no such command",
    "connect": "no connection, or no server of its command; nothing was sent",
    "unknown_tool": "the MCP server has no tool of this name",
    "timeout": "the time for the call is over",
    "cancelled": "the caller does not want the result any more",
    "connection_lost": "the connection broke after sending, before the whole reply had come",
    "tool_status": "the reply has a status other than 2xx",
    "malformed_body": "the reply is not what its headers, or its own schema, say",
    "protocol_error": "the MCP server refused the call, or did not keep to its protocol",
    "too_large": "the reply or the result is larger than allowed",
    "tool_error": "the Python function raised, or returned what is not JSON; the MCP tool says that it failed",
    "tool_crashed": "the process of the call died",
}


class ToolError(Exception):
    """A call failed.

    `outcome_known` is False when the call was sent and it cannot be told what came of it. `status` is that
    of the reply, if one came: with 2xx the effect has happened, although the result is lost.
    """

    def __init__(
        self, error_class: str, message: str, *, outcome_known: bool, status: int | None = None
    ) -> None:
        if error_class not in ERROR_CLASSES:
            raise ValueError(f"{error_class!r} is not an error class.")
        super().__init__(message)
        self.error_class = error_class
        self.message = message
        self.outcome_known = outcome_known
        self.status = status


class LeaseLost(Exception):
    """`sending()` said no: another worker may own the step by now. Nothing was sent."""


def refused(error_class: str, message: str) -> ToolError:
    """The error of a call that never began."""
    return ToolError(error_class, message, outcome_known=True)
