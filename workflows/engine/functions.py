"""The engine's statements as stored functions: one round trip and one transaction each.

A migration that changes one installs them all anew. A function whose parameters or result change gets a new name
or another signature, so that workers of the old and the new release can run side by side during a deployment. A claim
that a worker cannot read all the same it hands back, and takes no more (`execute.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

SQL: Final = Path(__file__).resolve().parent / "sql"
FILES: Final = (
    "keep",
    "begin",
    "claim",
    "waits",
    "announce",
    "end",
    "cancel_open",
    "next_item",
    "parts",
    "commit",
    "close",
    "leases",
    "clock",
    "runs",
    "calls",
    "memory",
    "taint",
)


def install(_apps: Any, schema_editor: Any) -> None:
    """Create or replace every function. For a migration's `RunPython`."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SET LOCAL check_function_bodies = off")  # they call each other
        for name in FILES:
            cursor.execute((SQL / f"{name}.sql").read_text())
        cursor.execute("SET LOCAL check_function_bodies = on")
