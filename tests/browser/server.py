"""The console's own ASGI server in a thread of this process: a WSGI test server could not stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from django.core.signals import request_finished
from django.db import connections

from console.embedded import free_port


def _give_back(**_: object) -> None:
    """Give back the connection of a request's thread.

    Django does so itself, but not while a test's own `Client` asks for something: it switches that off for all. What
    was out then stayed out until the garbage was collected, and twelve of them are all that there are.
    """
    if threading.current_thread() is not threading.main_thread():
        connections.close_all()


@contextmanager
def serve() -> Iterator[str]:
    """Run the server on a free port; gives its address."""
    request_finished.connect(_give_back, dispatch_uid="tests.browser.server")
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
    request_finished.disconnect(dispatch_uid="tests.browser.server")
