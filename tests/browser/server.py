"""The console's own ASGI server in a thread of this process: a WSGI test server could not stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from console.embedded import free_port


@contextmanager
def serve() -> Iterator[str]:
    """Run the server on a free port; gives its address."""
    port = free_port()
    config = uvicorn.Config(
        "console.asgi:application",
        host="127.0.0.1",
        port=port,
        log_level="warning",
        lifespan="off",
        timeout_graceful_shutdown=3,  # a stream that nobody hears any more would hold it up
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)
