"""Example bulk actions for tests of pages, in the shapes that the service writes; nothing runs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from tests import factories
from workflows.models import BulkAction, BulkItem, Run, StepRun

Json = Any
_PREVIEW = {
    "matched": 31,
    "excluded": [{"verdict": "succeeded", "count": 12}, {"verdict": "unknown", "count": 1}],
    "groups": [],
    "cost_usd": None,
}


def fill() -> None:
    """Give failed runs the step at which they failed, and add an action that goes on and one that was stopped."""
    failed = list(Run.objects.filter(state="failed", steps=None).order_by("-created_at"))
    StepRun.objects.bulk_create(_failed_step(run, number) for number, run in enumerate(failed))
    ended = list(
        Run.objects.filter(state="succeeded").order_by("-created_at").values_list("pk", flat=True)[:9]
    )
    carrier = factories.run("running", title="Retry 18 runs", number=90).run.pk
    running = action("running", number=1, total=18, run_id=carrier)
    items(running, done=ended, pending=[run.pk for run in failed[:9]])
    stopped = action(
        "stopped",
        number=2,
        total=18,
        run_id=factories.run("succeeded", number=91).run.pk,
        note="Stopped by itself: 4 of 12 retried runs failed again, more than 10%.",
    )
    items(
        stopped,
        done=[*ended[:8], *(run.pk for run in failed[:4])],
        refused={
            failed[5].pk: f"Run {failed[5].pk} is running; only failed or cancelled runs can be retried."
        },
        pending=[run.pk for run in failed[6:11]],
    )


def forks(*, run: str, made: str) -> None:
    """Add an action that forked a run, and could not fork another."""
    done = action(
        "finished",
        number=3,
        total=2,
        action="fork",
        selection={"ids": [run, "r_gone"]},
        options={"change": {"overrides": {"models": {"chat": "fake/other"}}, "effects": "stub"}},
        reason="Would the cheaper model do?",
        run_id=factories.run("succeeded", number=92).run.pk,
    )
    items(done, done=[run], refused={"r_gone": "The run was deleted meanwhile."}, pending=[])
    done.items.filter(run_id=run).update(made=made)


def _failed_step(run: Run, number: int) -> StepRun:
    path = ("answer", "answer", "classify")[number % 3]
    error = {"class": "timeout", "message": "No answer for 30 s"}
    Run.objects.filter(pk=run.pk).update(error={**error, "step": path})
    return StepRun(
        run=run,
        path=path,
        step_id=path,
        kind="prompt",
        ordinal=0,
        state="failed",
        error=error,
        attempts_made=1,
        ended_at=run.ended_at,
        cost_usd=Decimal("0.00042"),
    )


def action(state: str, *, number: int, **values: Json) -> BulkAction:
    """Add a bulk action."""
    began = timezone.now() - timedelta(minutes=3 * number)
    ended = began + timedelta(seconds=41) if state in {"finished", "stopped"} else None
    given: dict[str, Json] = {
        "action": "retry",
        "selection": {"filter": {"workflow": "docs-assistant", "states": ["failed"]}},
        "frozen_at": began,
        "options": {"rate_per_s": 5.0, "stop_above": 0.1, "with_cancelled": False},
        "preview": _PREVIEW,
        "reason": "The provider\u2019s key was renewed",
        "created_by": "marta",
        **values,
    }
    return BulkAction.objects.create(
        id=f"b_{number:013d}", state=state, created_at=began, starts_at=began, ended_at=ended, **given
    )


def items(
    of: BulkAction, *, done: list[str], pending: list[str], refused: dict[str, str] | None = None
) -> None:
    """Add what became of its runs."""
    now = timezone.now()
    made = [BulkItem(bulk=of, run_id=run, outcome="done", at=now) for run in done]
    for run, reason in (refused or {}).items():
        made.append(BulkItem(bulk=of, run_id=run, outcome="refused", reason=reason, at=now))
    BulkItem.objects.bulk_create([*made, *(BulkItem(bulk=of, run_id=run) for run in pending)])
