"""Steps of a run that a person settled: who said what and why, and since when it had been open. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from workflows.models import AuditEntry, JournalEvent
from workflows.queries.step_rows import AttemptView, StepView

# What leaves a step to a person: nobody knows whether its call took effect, or it failed for good.
_LEFT_OPEN: Final = ("step.unknown", "attempt.lost", "attempt.interrupted", "step.failed")
_BY_PERSON: Final = "resolved_as_failed"
_SPOILT: Final = {"attempt.lost": "lost", "attempt.interrupted": "interrupted"}


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """One answer. `action`: supply, skip, retry or fail · `entry`: its line in the audit log.

    `open_since`: when its attempt had ended without one, as `ended`; None where the journal does not tell.
    """

    path: str
    action: str
    by: str
    at: datetime
    reason: str
    entry: int
    open_since: datetime | None = None
    ended: str = "failed"


def of_run(run_id: str) -> Mapping[str, Sequence[Settlement]]:
    """Return the answers for each path of a run, the oldest first."""
    entries = AuditEntry.objects.filter(action="step.resolve", object_kind="run", object_id=run_id)
    told = [entry for entry in entries.order_by("at", "id") if isinstance(entry.data, dict)]
    if not told:
        return {}
    events = _left_open(run_id, [str(entry.data.get("step", "")) for entry in told])
    found: dict[str, list[Settlement]] = defaultdict(list)
    for entry in told:
        path = str(entry.data.get("step", ""))
        before = [event for event in events if event.step == path and event.at <= entry.at]
        found[path].append(
            Settlement(
                path=path,
                action=str(entry.data.get("action", "")),
                by=entry.actor,
                at=entry.at,
                reason=entry.reason,
                entry=entry.pk,
                open_since=before[-1].at if before else None,
                ended=_SPOILT.get(before[-1].type, "failed") if before else "failed",
            )
        )
    return found


def _left_open(run_id: str, paths: Sequence[str]) -> list[JournalEvent]:
    events = JournalEvent.objects.filter(run_id=run_id, step__in=paths, type__in=_LEFT_OPEN).order_by("seq")
    return [event for event in events if not _is_answer(event)]


def _is_answer(event: JournalEvent) -> bool:
    error = event.data.get("error") if isinstance(event.data, dict) else None
    return isinstance(error, dict) and error.get("class") == _BY_PERSON


def apart(steps: Sequence[StepView], found: Mapping[str, Sequence[Settlement]]) -> tuple[StepView, ...]:
    """End the attempts that a person's answer closed when they ended by themselves.

    The engine records an answer as the outcome of the attempt that was left open; what lay between was no work.
    """
    if not found:
        return tuple(steps)
    return tuple(
        step._replace(attempts=tuple(_apart(attempt, found[step.path]) for attempt in step.attempts))
        if step.path in found
        else step
        for step in steps
    )


def _apart(attempt: AttemptView, answers: Sequence[Settlement]) -> AttemptView:
    for each in answers:
        left = each.open_since
        if (
            left
            and attempt.ended_at
            and attempt.started_at <= left < attempt.ended_at
            and each.action != "retry"
        ):
            return attempt._replace(ended_at=left, state=each.ended)
    return attempt
