"""What runs in the child process of Python tools: `python -m workflows.tools.child PARENT_PID`.

Reads a call per line on its standard input, answers a line each. It imports the standard library and the
tools' modules only: neither Django nor anything else of the project.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
from typing import Any, BinaryIO

_PR_SET_PDEATHSIG = 1
_MAX_MESSAGE = 1_000


def main(parent: int) -> None:
    """Serve calls until the parent closes the pipe."""
    die_with(parent)
    requests, answers = private_pipes()
    write(answers, b"ready")
    for line in requests:
        write(answers, _answer(json.loads(line)))


def die_with(parent: int) -> None:
    """Have the kernel end this process with its parent, also in the middle of a call that never ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # the parent was gone before we asked


def private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Move the protocol away from the standard streams: what a function prints goes to standard error."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 -- a descriptor is wanted
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return requests, answers


def write(answers: BinaryIO, line: bytes) -> None:
    """Answer with a line."""
    answers.write(line + b"\n")
    answers.flush()


def _answer(call: dict[str, Any]) -> bytes:
    try:
        output = _function(call["entry"])(**call["input"])
    except BaseException as error:  # whatever it is, the parent hears of it
        return _error("tool_error", described(error))
    try:
        line = json.dumps({"output": output}, allow_nan=False).encode("ascii")
    except BaseException as error:
        return _error("tool_error", f"it returned what is not JSON: {described(error)}")
    return line if len(line) <= call["max_output"] else _error("too_large", "")


def _function(entry: str) -> Any:
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)


def described(error: BaseException) -> str:
    """Type and message, without a traceback."""
    try:
        message = str(error)
    except BaseException:
        message = ""
    name = type(error).__name__
    return (f"{name}: {message}" if message else name)[:_MAX_MESSAGE]


def _error(error_class: str, message: str) -> bytes:
    return json.dumps({"error": error_class, "message": message}).encode("ascii")


if __name__ == "__main__":
    main(int(sys.argv[1]))
