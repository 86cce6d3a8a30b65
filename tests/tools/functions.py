"""What the tests of Python tools call, in a child process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def add(first: int, second: int = 0) -> dict[str, int]:
    return {"sum": first + second}


def echo(**fields: Any) -> dict[str, Any]:
    return fields


def process() -> int:
    return os.getpid()


def environment() -> list[str]:
    return sorted(os.environ)


def modules() -> list[str]:
    return sorted(sys.modules)


def noisy() -> str:
    print('{"output": "forged"}')  # noqa: T201
    os.write(1, b'{"output": "forged"}\n')
    subprocess.run([sys.executable, "-c", "print('forged')"], check=True)
    return "heard"


def fails() -> None:
    raise LookupError("no such order")


def leaves() -> None:
    sys.exit(3)


def dies() -> None:
    os.kill(os.getpid(), 9)


def unprintable() -> object:
    return object()


def not_a_number() -> float:
    return float("nan")


def endless() -> list[Any]:
    nested: list[Any] = []
    nested.append(nested)
    return nested


def large(size: int) -> str:
    return "x" * size


def sleeps(seconds: float, pid_file: str) -> str:
    Path(pid_file).write_text(str(os.getpid()))
    time.sleep(seconds)
    return "woke"
