"""A short question to the database, past the pool: its connections may all wait for a server that is away."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from django.db import connection

PROBE_S: Final = 3
_NOT_FOR_PSYCOPG: Final = frozenset({"pool", "server_side_binding"})


class ProbeError(Exception):
    """A part does not answer; the message says which and what to do."""


def ask(sql: str, *params: object) -> tuple[Any, ...] | None:
    """Return the first row of one statement, within seconds. Raises: ProbeError."""
    given = connection.get_connection_params()
    wanted = {key: value for key, value in given.items() if key not in _NOT_FOR_PSYCOPG}
    wanted |= {"connect_timeout": PROBE_S, "options": f"-c statement_timeout={PROBE_S * 1000}"}
    try:
        with psycopg.connect(**wanted) as probing:
            return probing.cursor().execute(sql, params).fetchone()
    except psycopg.Error as error:
        raise ProbeError(f"The database does not answer ({type(error).__name__}).") from None
