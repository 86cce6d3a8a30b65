"""What the approvals pages show: open ones, decided ones, and what a run did before it asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import F, QuerySet

from workflows.models import Approval, StepRun

PAGE: Final = 50
_EVIDENCE: Final = 30


@dataclass(frozen=True)
class Page:
    """One page of approvals; `after` is where the next one begins, None on the last."""

    rows: tuple[Approval, ...]
    after: int | None


def page(*, closed: bool, group: str, workflow: str, after: int | None) -> Page:
    """Return open approvals, those that run out first on top; or closed ones, the newest first."""
    found = _matching(closed=closed, group=group, workflow=workflow)
    if closed:
        found = found.order_by("-id")
        found = found.filter(id__lt=after) if after else found
        rows = list(found[: PAGE + 1])
        return Page(tuple(rows[:PAGE]), rows[PAGE - 1].pk if len(rows) > PAGE else None)
    rows = list(found.order_by(F("expires_at").asc(nulls_last=True), "id")[: PAGE + 1])
    return Page(tuple(rows[:PAGE]), None)


def count_open(*, group: str = "", workflow: str = "") -> int:
    """Return how many wait for somebody."""
    return _matching(closed=False, group=group, workflow=workflow).count()


def _matching(*, closed: bool, group: str, workflow: str) -> QuerySet[Approval]:
    found = Approval.objects.filter(closed_at__isnull=not closed)
    found = found.filter(group=group) if group else found
    return found.filter(workflow=workflow) if workflow else found


def evidence(approval: Approval) -> Sequence[StepRun]:
    """Return the steps that had ended when the question was asked, the newest first: what the decision rests on."""
    done = StepRun.objects.filter(
        run_id=approval.run_id,
        superseded=False,
        ended_at__lte=approval.requested_at,
        output_hash__isnull=False,
    )
    return tuple(done.order_by("-ended_at", "-id")[:_EVIDENCE])
