"""This process' connections to the database, thrown away where a server went, or is about to."""

from __future__ import annotations

from typing import Any

from django.db import connection


def drop() -> None:
    """Close this thread's connection, and those that the pool holds for others."""
    connection.close()
    wrapper: Any = connection  # only with Postgres has it a pool
    wrapper.close_pool()
