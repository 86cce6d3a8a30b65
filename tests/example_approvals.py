"""Questions to people as the approvals pages show them: soon, later, without a limit, and decided."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from tests import factories
from workflows.models import Approval

_FORM = {
    "required": ["amount"],
    "properties": {
        "amount": {
            "type": "number",
            "minimum": 0,
            "maximum": 250,
            "description": "What is paid back, in EUR",
        },
        "reason": {"type": "string", "enum": ["damaged", "late", "goodwill"]},
    },
}
_DETAILS = (
    "The customer says that the kettle arrived with a cracked lid, and sent two pictures.\n"
    "Order A-20417, 64.90 EUR, delivered on Monday. It is the first complaint in three years."
)


def fill() -> None:
    """Add runs that ask; their numbers begin at 940."""
    _ask(940, "Refund order A-20417?", group="operators", left_s=1100, details=_DETAILS, fields=_FORM)
    _ask(
        941,
        "Send the reply to m.weber@example.com?",
        group="editors",
        left_s=14_000,
        details="Dear Ms Weber, …",
    )
    _ask(942, "Publish the weekly summary?", group="", left_s=None)
    _ask(
        943,
        "Close account 8841?",
        group="operators",
        left_s=None,
        outcome="rejected",
        by="d.osei",
        comment="They only asked for a copy of their data.",
    )
    _ask(944, "Refund order A-20390?", group="operators", left_s=None, outcome="timed_out")


def _ask(
    number: int,
    title: str,
    *,
    group: str,
    left_s: float | None,
    outcome: str = "",
    by: str = "",
    comment: str = "",
    details: str = "",
    fields: Any = None,
) -> None:
    now = timezone.now()
    made = factories.run("succeeded" if outcome else "waiting", number=number, ago_s=900)
    made.step(
        "triage", "prompt", tries=[(0, 1.8, "succeeded")], gave={"severity": 4, "topic": "damaged goods"}
    )
    made.step(
        "search",
        "retrieve",
        tries=[(1.9, 2.2, "succeeded")],
        gave={"chunks": [{"text": "Refunds within 14 days."}]},
    )
    step = made.step(
        "confirm",
        "approval",
        "succeeded" if outcome else "waiting",
        tries=[(2.3, 2.4, "succeeded")],
        reason="approval",
    )
    Approval.objects.create(
        pk=number - 939,
        run=made.run,
        step_run=step,
        path="confirm",
        workflow=made.run.workflow,
        environment_id=made.run.environment_id,
        group=group,
        title=title,
        details=details,
        fields=fields,
        requested_at=now - timedelta(seconds=890),
        expires_at=None if left_s is None else now + timedelta(seconds=left_s),
        closed_at=now - timedelta(seconds=300) if outcome else None,
        outcome=outcome,
        decided_by=by,
        comment=comment,
    )
