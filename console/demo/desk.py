"""The demo's tool: a desk that takes questions over HTTP, on loopback, in memory.

It gives the same number to the same Idempotency-Key, as a well-behaved service does. May not import the project.
"""

from __future__ import annotations

import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

MAX_BODY: Final = 64 * 1024


class Desk(ThreadingHTTPServer):
    """Remembers a number per idempotency key."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}

    def number(self, key: str) -> int:
        with self._lock:
            return self._numbers.setdefault(key, len(self._numbers) + 1)


class Handler(BaseHTTPRequestHandler):
    """`POST /questions` with `{"question": …, "kind": …}` gives `{"ticket": "D-7"}`."""

    server: Desk

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if self.path != "/questions" or size > MAX_BODY:
            return self._answer(404, {"error": "Only POST /questions is known here."})
        try:
            question = json.loads(self.rfile.read(size))["question"]
        except (ValueError, KeyError, TypeError):
            return self._answer(422, {"error": "A JSON object with `question` is expected."})
        key = self.headers.get("Idempotency-Key") or str(question)
        return self._answer(201, {"ticket": f"D-{self.server.number(key)}"})

    def _answer(self, status: int, body: dict[str, str]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    Desk(parser.parse_args().port).serve_forever()


if __name__ == "__main__":
    main()
