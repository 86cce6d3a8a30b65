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

from workflows.tools.children import POOL
from workflows.tools.dialogue import Dialogue
from workflows.tools.errors import ToolError, refused
from workflows.tools.waiting import Patience, never

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
    with Dialogue(POOL, entry, patience, max_answer=MAX_OUTPUT + 4096) as dialogue:
        try:
            dialogue.mark(sending)
        except BaseException:
            dialogue.end()  # the child knows nothing of the call
            raise
        reply = json.loads(dialogue.ask(request))
    return _result(entry, reply, dialogue)


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


def _result(entry: str, reply: Any, dialogue: Dialogue) -> Any:
    if "output" in reply:
        return reply["output"]
    if reply["error"] == "too_large":
        raise dialogue.too_large()
    raise ToolError("tool_error", f"{entry}: {reply['message']}", outcome_known=True)
