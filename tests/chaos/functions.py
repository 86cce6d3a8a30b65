"""What the load's `python` tool calls, in a child process of the worker. May not import the project."""

from __future__ import annotations

import time


def square(n: int) -> dict[str, int]:
    """Take a moment, so that a child can be killed in the middle."""
    time.sleep(0.05)
    return {"square": n**2}
