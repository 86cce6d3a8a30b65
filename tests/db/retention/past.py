"""Let time pass: move everything that there is into the past."""

from __future__ import annotations

from typing import Final

from workflows import database, payloads

_MOMENTS: Final = {
    "workflows_run": ("created_at", "started_at", "ended_at", "archived_at"),
    "workflows_payload": ("touched_at",),
    "workflows_upload": ("kept_at",),
    "retrieval_snapshot": ("published_at",),
}


def age(days: float) -> None:
    """Make everything that there is older by so many days."""
    for table, columns in _MOMENTS.items():
        changes = ", ".join(f"{column} = {column} - $1 * interval '1 day'" for column in columns)
        database.fetch_all(f"UPDATE {table} SET {changes} RETURNING 1", [days])  # noqa: S608
    forget_cached()


def forget_cached() -> None:
    """Read every payload anew from the database."""
    payloads._cache.items.clear()
