"""Call a Python function as a tool, in a child process that can be stopped and is not ours.

The children (child.py) are few, started when first needed, used again up to a number of calls, killed on
time-out, and die with this process. No module that a tool names is ever imported here.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workflows.tools.children import POOL, Child, Crashed, Oversized
from workflows.tools.errors import LeaseLost, ToolError, refused
from workflows.tools.waiting import Patience, Stopped, never

MAX_OUTPUT = 4 * 1024 * 1024  # bytes of JSON
_ENTRY = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def always() -> bool:
    """The `sending` of a call that needs no mark."""
    return True


def run_python(
    entry: str,
    input: Mapping[str, Any],
    *,
    deadline_s: float,
    cancelled: Callable[[], bool] = never,
    allowed: Sequence[str],
    sending: Callable[[], bool] = always,
) -> Any:
    """Call `package.module:function` with the input's fields as keyword arguments and return its JSON.

    `allowed` are the patterns of INTERLOCK_TOOL_PYTHON. `sending` is called once, when a child stands ready
    and before it is told anything; if it returns False, nothing is called.

    Raises: ToolError; LeaseLost; what `sending` raises.
    """
    if not is_allowed(entry, allowed):
        raise refused(
            "not_allowed",
            f"The settings do not allow the Python function {entry!r}: add it to INTERLOCK_TOOL_PYTHON.",
        )
    request = _request(entry, input)
    patience = Patience.within(deadline_s, cancelled=cancelled)
    child = _taken(entry, patience)
    try:
        patience.slice_s()
        wanted = sending()
        if wanted:
            patience.slice_s()
    except BaseException as error:
        POOL.give_back(child)
        if isinstance(error, Stopped):
            raise _stopped(entry, error, sent=False) from None
        raise
    if not wanted:
        POOL.give_back(child)
        raise LeaseLost(f"The lease of the step is lost: {entry} was not called.")
    return _result(entry, _answered(child, entry, request, patience))


def is_allowed(entry: str, patterns: Sequence[str]) -> bool:
    """Whether a name is one of a function and fits a pattern, such as `shop.tools:*`."""
    return _ENTRY.fullmatch(entry) is not None and any(
        fnmatch.fnmatchcase(entry, pattern) for pattern in patterns
    )


def _request(entry: str, input: Mapping[str, Any]) -> bytes:
    try:
        message = {"entry": entry, "input": dict(input), "max_output": MAX_OUTPUT}
        return json.dumps(message, allow_nan=False).encode("ascii") + b"\n"
    except (TypeError, ValueError) as error:
        raise refused("invalid_request", f"The input of {entry} is no JSON object: {error}.") from None


def _taken(entry: str, patience: Patience) -> Child:
    try:
        return POOL.take(patience)
    except Stopped as error:
        raise _stopped(entry, error, sent=False) from None
    except Crashed as error:
        raise refused("connect", f"No process for {entry} could be started ({error}).") from None


def _answered(child: Child, entry: str, request: bytes, patience: Patience) -> bytes:
    """Exchange one line for another. Raises: ToolError."""
    try:
        answer = child.exchange(request, patience=patience, max_bytes=MAX_OUTPUT + 4096)
    except BaseException as error:
        POOL.discard(child)
        if isinstance(error, Stopped):
            raise _stopped(entry, error, sent=True) from None
        if isinstance(error, Crashed):
            message = f"The process of {entry} died ({error}): its outcome is unknown."
            raise ToolError("tool_crashed", message, outcome_known=False) from None
        if isinstance(error, Oversized):
            raise ToolError("too_large", _TOO_LARGE.format(entry=entry), outcome_known=True) from None
        raise
    POOL.give_back(child)
    return answer


_TOO_LARGE = f"The result of {{entry}} is larger than {MAX_OUTPUT // (1024 * 1024)} MB."


def _result(entry: str, answer: bytes) -> Any:
    reply = json.loads(answer)
    if "output" in reply:
        return reply["output"]
    if reply["error"] == "too_large":
        raise ToolError("too_large", _TOO_LARGE.format(entry=entry), outcome_known=True)
    raise ToolError("tool_error", f"{entry}: {reply['message']}", outcome_known=True)


def _stopped(entry: str, error: Stopped, *, sent: bool) -> ToolError:
    what = "took too long" if error.error_class == "timeout" else "was cancelled"
    after = "it was stopped, and its outcome is unknown" if sent else "it was not called"
    return ToolError(error.error_class, f"{entry} {what}: {after}.", outcome_known=not sent)
