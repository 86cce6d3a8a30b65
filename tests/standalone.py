"""Postgres, Valkey and Django for programs that are no pytest session: `make bench`, `make chaos`.

Import it before anything of Django's: settings read the addresses of the servers from the environment.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from tests import connections

if TYPE_CHECKING:
    from tests.servers import Servers


def set_up(*, durable: bool) -> None:
    """Prepare Django for servers that `serving` starts; a child process finds its parent's.

    `durable`: Postgres with fsync, as in production.
    """
    if "DATABASE_URL" in os.environ and "DJANGO_SETTINGS_MODULE" in os.environ:
        if not import_module("django.apps").apps.ready:
            import_module("django").setup()
        return
    os.environ["INTERLOCK_TEST_FSYNC"] = "1" if durable else "0"
    atexit.register(import_module("tests.servers").SERVERS.stop)
    os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
    import_module("django").setup()


@contextmanager
def serving() -> Iterator[Servers]:
    """Run the servers with an empty, migrated database."""
    servers: Servers = import_module("tests.servers").SERVERS
    try:
        servers.start()
        import_module("django.core.management").call_command("migrate", verbosity=0)
        yield servers
    finally:
        connections.drop()
        servers.stop()
