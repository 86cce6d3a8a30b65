"""The one error family of tool calls. Pure: imports nothing of the project."""

from __future__ import annotations

# error class → what it says.
ERROR_CLASSES: dict[str, str] = {
    "invalid_request": "the tool's templates and its input make no request that could be sent",
    "address_refused": "the address is not public and the settings do not allow it",
    "not_allowed": "the settings do not allow this Python function",
    "connect": "no connection; nothing was sent",
    "timeout": "the time for the call is over",
    "cancelled": "the caller does not want the result any more",
    "connection_lost": "the connection broke after sending, before the whole reply had come",
    "tool_status": "the reply has a status other than 2xx",
    "malformed_body": "the reply's body is not what its headers say",
    "too_large": "the reply or the result is larger than allowed",
    "tool_error": "the Python function raised, or returned what is not JSON",
    "tool_crashed": "the process of the Python function died",
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
