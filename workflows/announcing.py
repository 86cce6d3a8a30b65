"""Tell the webhooks that something happened: a row of the outbox, in the transaction of what happened.

The engine's statements call `interlock_announce` themselves. May not: send anything; `webhooks` does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from workflows import database


def announce(event_type: str, subject: str, data: Mapping[str, Any]) -> None:
    """Write down an event such as `schedule.failed` for every webhook that listens; nearly free where none does."""
    database.call("interlock_announce", event_type, subject, json.dumps(data))
