"""What an exception of the SDK means for a call: an error class, a message, and whether its outcome is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import httpx2
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED
from pydantic import ValidationError

from workflows.tools.child import described
from workflows.tools.errors import ToolError
from workflows.tools.mcp.watch import Watch

_MAX_NAMES = 20
_MAX_QUOTED = 20_000  # the parent cuts for good; see results.py
_UNREADABLE = "Failed to parse"  # how the SDK begins what it says of a reply that it cannot read


def unknown_tool(wanted: str, names: Sequence[str], watch: Watch) -> ToolError:
    listed = ", ".join(sorted(names)[:_MAX_NAMES]) or "none"
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    message = (
        f"{watch.server} has no tool {wanted!r}; it has {listed}{more}. Correct the definition's `mcp.tool`."
    )
    return ToolError("unknown_tool", message, outcome_known=True)


def named(error: BaseException, watch: Watch) -> ToolError:
    """Return the error of a call that ended in an exception; what the watch has noted comes first."""
    if watch.error is not None:
        return watch.error
    causes = list(_causes(error))
    for kind in (ToolError, MCPError, ValidationError):
        for cause in causes:
            if isinstance(cause, kind):
                return _named(cause, watch)
    return _named(causes[0], watch)


def _named(error: BaseException, watch: Watch) -> ToolError:
    if isinstance(error, ToolError):
        return error
    if isinstance(error, MCPError):
        return _refused(error, watch)
    if isinstance(error, ValidationError):
        return watch.unusable(
            "malformed_body", f"is not what the protocol says, in {error.error_count()} places"
        )
    if isinstance(error, httpx2.TransportError | OSError):
        return watch.lost(described(error))
    if isinstance(error, RuntimeError):  # what the SDK says of results that break the server's own schema
        return watch.unusable("malformed_body", f"cannot be used: {str(error)[:_MAX_QUOTED]}")
    return watch.lost(described(error))


def _refused(error: MCPError, watch: Watch) -> ToolError:
    """The error of a JSON-RPC error: the server's own, or one that the SDK made of a status or a lost connection."""
    if watch.status is not None:
        hint = "; look at its address and credential" if watch.status in {401, 403, 404} else ""
        message = f"{watch.server} replied with status {watch.status} ({error.message[:_MAX_QUOTED]}){hint}."
        return ToolError("tool_status", message, outcome_known=True, status=watch.status)
    if error.code == CONNECTION_CLOSED:
        return watch.lost(error.message[:_MAX_QUOTED])
    if error.message.startswith(_UNREADABLE):
        return watch.unusable("malformed_body", "is no message of the protocol")
    message = f"{watch.server} refused the call: {error.message[:_MAX_QUOTED]} (code {error.code})."
    return ToolError("protocol_error", message, outcome_known=True)


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    else:
        yield error
