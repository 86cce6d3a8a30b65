"""An MCP server of the era of the handshake, over standard input and output, of the standard library alone.

It heeds no polite end, and does not notice that its input closes while it is busy. May not import the project.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

VERSION = "2025-06-18"
TOOLS = ("add", "hangs", "dies", "floods", "mumbles", "overflows")


def main() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin:
        request = json.loads(line)
        if "id" in request:
            answer(request["id"], request["method"], request.get("params", {}))


def answer(number: int, method: str, params: dict[str, Any]) -> None:
    if method == "initialize":
        about = {"protocolVersion": VERSION, "capabilities": {"tools": {}}}
        say(number, result={**about, "serverInfo": {"name": "old", "version": "1"}})
    elif method == "tools/list":
        say(number, result={"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]})
    elif method == "tools/call":
        globals()[params["name"]](number, **params["arguments"])
    else:
        say(number, error={"code": -32601, "message": f"no method {method}"})


def say(number: int, **what: Any) -> None:
    print(json.dumps({"jsonrpc": "2.0", "id": number, **what}), flush=True)  # noqa: T201


def add(number: int, first: int, second: int = 0) -> None:
    say(number, result={"content": [{"type": "text", "text": str(first + second)}]})


def hangs(_: int, notes: str) -> None:
    """Start a process of its own, leave both numbers, and never answer."""
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    leave(notes, f"{os.getpid()} {helper.pid}")
    time.sleep(600)


def dies(_: int, notes: str) -> None:
    leave(notes, str(os.getpid()))
    os.kill(os.getpid(), signal.SIGKILL)


def floods(_: int) -> None:
    while True:
        sys.stdout.write("x" * 65536)


def mumbles(number: int) -> None:
    """Answer between lines that are not of the protocol."""
    print("loading…\n\n{}")  # noqa: T201
    add(number, 1)


def overflows(number: int) -> None:
    """Answer with a number that is not JSON once it was read."""
    result = '{"content": [], "structuredContent": {"sum": 1e400}}'
    print(f'{{"jsonrpc": "2.0", "id": {number}, "result": {result}}}', flush=True)  # noqa: T201


def leave(notes: str, text: str) -> None:
    """Write a file that is there at once or not at all."""
    Path(f"{notes}.part").write_text(text)
    Path(f"{notes}.part").rename(notes)


if __name__ == "__main__":
    main()
