"""Tell whoever watches a run that it has changed: hints, published to the broker where it is a Valkey or Redis.

A hint says "look again" and nothing else; losing all of them changes no outcome, and watchers look by themselves
now and then. May not slow, block or fail what calls it: a caller leaves the run's id, and a thread of its own
publishes what has gathered. Knows no web process and no event loop.
"""

from __future__ import annotations

import os
import threading
import time
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis
import structlog
from django.conf import settings

log = structlog.get_logger()
CHANNEL: Final = "interlock:hints"  # a message is the ids of the runs that changed, parted by spaces
# All that happens within this time is one message, however many commits it was.
GATHER_S: Final = 0.05
# While the broker is away hints are dropped, and it is asked again only after this time.
QUIET_S: Final = 2.0
_TIMEOUT_S: Final = 1.0
_AT_ONCE: Final = 2000  # runs in one message; what is more is dropped


def address() -> str | None:
    """Return the broker's address as redis clients read it, or None where it is no Valkey or Redis."""
    return _for_redis(str(settings.BROKER_URL))


@lru_cache(maxsize=8)
def _for_redis(url: str) -> str | None:
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss", "redis+socket"}:
        return None
    query = dict(parse_qsl(parts.query))
    if parts.scheme == "redis+socket":
        known = {"db": query.get("virtual_host", "0"), "password": parts.password or ""}
        return f"unix://{parts.path}?{urlencode({key: value for key, value in known.items() if value})}"
    required = query.get("ssl_cert_reqs", "").removeprefix("CERT_").lower()
    changed = {**query, "ssl_cert_reqs": required} if required else query
    return parts._replace(query=urlencode(changed)).geturl()


class _Herald:
    """Gathers ids and publishes them from one thread, which starts with the first of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.some = threading.Event()
        self.runs: set[str] = set()
        self.thread: threading.Thread | None = None

    def tell(self, run_id: str) -> None:
        with self.lock:
            if len(self.runs) < _AT_ONCE:
                self.runs.add(run_id)
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._publish, name="hints", daemon=True)
                self.thread.start()
        self.some.set()

    def _publish(self) -> None:
        client: Any = None
        while True:
            self.some.wait()
            self.some.clear()
            with self.lock:
                runs, self.runs = self.runs, set()
            if not runs:
                continue
            try:
                client = client or _client()
                client.publish(CHANNEL, " ".join(runs))
                time.sleep(GATHER_S)
            except (redis.RedisError, OSError) as error:
                log.info("hints_dropped", error=str(error)[:200])
                time.sleep(QUIET_S)


def _client() -> Any:
    url = address()
    assert url is not None, "tell() asks first"
    return redis.Redis.from_url(
        url, socket_connect_timeout=_TIMEOUT_S, socket_timeout=_TIMEOUT_S, max_connections=1
    )


_herald = _Herald()


def _forget() -> None:
    """A forked child has no thread: start afresh there."""
    global _herald
    _herald = _Herald()


os.register_at_fork(after_in_child=_forget)


def tell(*run_ids: str) -> None:
    """Say that these runs have changed; returns at once, whatever the broker does."""
    if address() is None:
        return
    for run_id in run_ids:
        _herald.tell(run_id)
