"""Let time pass: move everything that there is into the past."""

from __future__ import annotations

from typing import Final

from django.db import connection, transaction

from workflows import payloads

_MOMENTS: Final = {
    "workflows_run": ("created_at", "started_at", "ended_at", "archived_at"),
    "workflows_payload": ("touched_at",),
    "workflows_upload": ("kept_at",),
    "retrieval_snapshot": ("published_at",),
}


def age(days: float) -> None:
    """Make everything that there is older by so many days."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL session_replication_role = replica"
        )  # past the guard of published snapshots
        for table, columns in _MOMENTS.items():
            changes = ", ".join(f"{column} = {column} - %s * interval '1 day'" for column in columns)
            cursor.execute(f"UPDATE {table} SET {changes}", [days] * len(columns))  # noqa: S608
    forget_cached()


def forget_cached() -> None:
    """Read every payload anew from the database."""
    payloads._cache.items.clear()
