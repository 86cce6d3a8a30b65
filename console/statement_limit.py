"""How long the web process lets the database think. Workers are not limited: nobody waits before a screen."""

from __future__ import annotations

from typing import Any


def limit_statements(database: dict[str, Any], *, seconds: float) -> None:
    """End every statement after so many seconds. To be called before the first connection; 0 changes nothing.

    It is a parameter of the connection's start, so that no request pays for it.
    """
    if not seconds:
        return
    options = database.setdefault("OPTIONS", {})
    given = f"{options.get('options', '')} -c statement_timeout={round(seconds * 1000)}"
    options["options"] = given.strip()
