"""Short transactions, one prune at a time in each of them. Raw SQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg
import structlog
from django.db import OperationalError, connection, transaction

log = structlog.get_logger()
Result = TypeVar("Result")
ROWS: Final = 1000  # at most, of one statement
# Nobody waits for a prune, and a prune waits for nobody: what is locked is left for the next time.
LOCK_TIMEOUT: Final = "2s"
_KEY: Final = (
    0x7072756E65  # of the lock that two prunes share; for a transaction, so that poolers do not matter
)
_TRIES: Final = 5
_BUSY: Final = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


@contextmanager
def batch() -> Iterator[None]:
    """Open a transaction of its own that waits for no lock for long."""
    with transaction.atomic(durable=True):
        rows("SELECT set_config('lock_timeout', %(timeout)s, true)", timeout=LOCK_TIMEOUT)
        rows("SELECT pg_advisory_xact_lock(%(key)s)", key=_KEY)
        yield


def patiently(work: Callable[[], Result], *, otherwise: Result) -> Result:
    """Do one batch; where a lock is in the way, again a little later, and at last `otherwise`."""
    for number in range(_TRIES):
        try:
            return work()
        except OperationalError as error:
            if not isinstance(error.__cause__, _BUSY):
                raise
            log.info("prune_waits", error=str(error)[:200])
            time.sleep(0.1 * 2**number)
    return otherwise


def rows(statement: str, **params: Any) -> list[tuple[Any, ...]]:
    """Run a statement with `%(name)s` parameters and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall())


def changed(statement: str, params: Mapping[str, Any]) -> int:
    """Run a statement and return how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return int(cursor.rowcount)


def deleted(table: str, condition: str, **params: Any) -> int:
    """Delete at most ROWS rows of a table in a transaction of its own; return how many. Both are our own text."""
    found = f"SELECT ctid FROM {table} WHERE {condition} LIMIT {ROWS}"  # noqa: S608
    statement = f"DELETE FROM {table} WHERE ctid = ANY (ARRAY({found}))"  # noqa: S608

    def work() -> int:
        with batch():
            return changed(statement, params)

    return patiently(work, otherwise=-1)


def slices(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    """Cut ids into lists of at most `size`."""
    for low in range(0, len(ids), size):
        yield list(ids[low : low + size])
