"""The audit log's only writer."""

from __future__ import annotations

from typing import Any

from workflows.actor import Actor
from workflows.models import AuditEntry


def record(
    actor: Actor, action: str, object_kind: str, object_id: str, *, reason: str = "", data: Any = None
) -> None:
    """Write down who did what to which object, and why. Call it inside the transaction of the change."""
    AuditEntry.objects.create(
        actor=str(actor),
        action=action,
        object_kind=object_kind,
        object_id=object_id,
        reason=reason,
        data=data or {},
    )
