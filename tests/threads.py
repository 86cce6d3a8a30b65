"""Threads that use the database and give their connections back, as a worker's threads do.

A connection of a thread that has ended stays out of the pool until the garbage collector comes by; the test
database cannot be dropped as long as one is out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import connections


class DatabaseThread(threading.Thread):
    """A thread that gives its connection back at its end."""

    def run(self) -> None:
        giving_back(super().run)


class DatabaseThreads(ThreadPoolExecutor):
    """Threads that give their connections back after each piece of work."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(giving_back, fn, *args, **kwargs)


def giving_back(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call `work` and give this thread's connection back, whatever comes of it."""
    try:
        return work(*args, **kwargs)
    finally:
        connections.close_all()
