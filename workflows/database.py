"""The engine's way to Postgres: one statement, one round trip, a pooled connection held no longer than that.

Past the ORM on purpose: a step costs two statements, and holding no connection while a step waits on the
outside is what lets hundreds of steps share a handful of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import psycopg
from django.db import connections
from psycopg_pool import PoolTimeout

if TYPE_CHECKING:
    from django.db.backends.postgresql.base import DatabaseWrapper

# Two transactions met in an unlucky order; the statement did nothing and may simply run again.
_AGAIN: Final = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
# The server is away or restarting.
AWAY: Final = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)


@contextmanager
def connection() -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Borrow a connection for one statement.

    A thread that has one open through Django (a request, a service inside a transaction) uses that: a second one
    per thread could empty the pool for ever. Everybody else borrows one in autocommit mode.
    """
    wrapper = cast("DatabaseWrapper", connections["default"])
    if wrapper.connection is not None:
        yield wrapper.connection
        return
    pool = wrapper.pool
    assert pool is not None, "settings give the database a pool"
    if pool.closed:
        pool.open()
    with pool.connection() as borrowed:
        if not borrowed.autocommit:
            borrowed.autocommit = True
        yield borrowed


def fetch_all(sql: str, params: Sequence[object]) -> list[tuple[Any, ...]]:
    """Run one statement with `$1`-style parameters and return its rows."""
    for wait_s in (0.005, 0.02, 0.1, None):
        try:
            with connection() as borrowed:
                cursor = psycopg.RawCursor(borrowed)
                return cursor.execute(sql, params).fetchall()
        except _AGAIN:
            if wait_s is None:
                raise
            time.sleep(wait_s)
    raise AssertionError("unreachable")


def call(function: str, *params: object) -> Any:
    """Call one of the stored functions and return its single value, jsonb parsed."""
    marks = ", ".join(f"${n}" for n in range(1, len(params) + 1))
    value = fetch_all(f"SELECT {function}({marks})", params)[0][0]
    return json.loads(value) if isinstance(value, str) and value.startswith(("{", "[")) else value


def parsed(value: Any) -> Any:
    """Return a jsonb column's value: it comes as text where no adapter of Django's has seen the connection."""
    return json.loads(value) if isinstance(value, str) else value
