"""What the head of a run's page says: figures, the alert, the next sensible action. No requests, no HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from console import formats
from workflows import states
from workflows.models import Call, Run
from workflows.queries.run_list import CONTAINERS
from workflows.queries.run_page import Held, Queue, Standing, StepView

_STUCK_AFTER = timedelta(seconds=120)  # well beyond what the clock needs to ring again
_REPEATABLE = frozenset({*CONTAINERS, "prompt", "retrieve", "set"})


@dataclass(frozen=True)
class Figure:
    """One value of the strip under the title."""

    label: str
    value: str
    extra: str = ""
    tone: str = ""
    since: datetime | None = None  # counts on from here


@dataclass(frozen=True, kw_only=True)
class Alert:
    """What went wrong or holds things up, and what is known about its effect."""

    tone: str
    icon: str
    headline: str
    detail: str
    step: str = ""
    settle: bool = False  # a person says what came of the step
    since: datetime | None = None  # shown before the detail, and counted on


def figures(run: Run, steps: Sequence[StepView], calls: Sequence[Call], *, now: datetime) -> list[Figure]:
    """Return the strip of a run; sums are taken over its steps while it goes on."""
    first_level = [step for step in steps if step.parent_id is None]
    done = sum(step.state in states.STEP_DONE for step in first_level)
    retries = sum(max(len(step.attempts) - 1, 0) for step in steps if step.kind not in CONTAINERS)
    losses = sum(step.losses for step in steps)
    started = run.started_at or run.created_at
    duration = formats.duration(((run.ended_at or now) - started).total_seconds())
    strip = [Figure("Duration", duration, since=None if run.ended_at else started)]
    waited = ((run.started_at or now) - run.created_at).total_seconds()
    if waited >= 1:
        strip.append(Figure("Waited to start", formats.duration(waited)))
    strip += [
        Figure("Steps", str(done), extra=f"/{len(first_level)}"),
        Figure("Model calls", str(len(calls))),
        Figure("Retries", str(retries), tone="retry" if retries else ""),
    ]
    if losses:
        strip.append(Figure("Workers lost", str(losses), tone="retry"))
    return [
        *strip,
        Figure("Tokens", formats.tokens(_tokens(run, calls))),
        Figure("Cost", formats.money(cost_of(run, calls))),
        Figure("Started", formats.instant(started)),
        Figure("Trigger", run.trigger, extra=f" · {run.created_by}" if run.created_by else ""),
    ]


def _tokens(run: Run, calls: Sequence[Call]) -> int | None:
    used = [call.usage for call in calls if call.usage and call.usage.get("source") != "missing"]
    return sum(usage.get("input", 0) + usage.get("output", 0) for usage in used) if used else None


def cost_of(run: Run, calls: Sequence[Call]) -> Decimal | None:
    """Return what a run cost so far; unknown where no call has a known price."""
    if run.ended_at and run.cost_usd is not None:
        return run.cost_usd
    known = [call.cost_usd for call in calls if call.cost_usd is not None]
    return sum(known, Decimal(0)) if known else None


@dataclass(frozen=True)
class Action:
    """The next sensible thing to do, as a button."""

    label: str
    icon: str
    route: str
    permission: str
    style: str = "btn-primary"
    step: str = ""
    plain: bool = False  # a page of its own, not a question


def primary_action(run: Run, steps: Sequence[StepView]) -> Action:
    """Return what somebody who looks at this run most likely wants to do."""
    unknown = next((step for step in steps if step.state == "unknown"), None)
    if unknown and run.state in states.RUN_ACTIVE:
        return Action(
            f"Settle {unknown.step_id}…", "user-check", "run-resolve", "runs.resolve", step=unknown.path
        )
    if run.state == "paused":
        return Action("Resume…", "play", "run-resume", "runs.pause")
    if any(step.kind == "approval" and step.state == "waiting" for step in steps):
        return Action("Decide…", "user-check", "run-approval", "runs.view", plain=True)
    if run.state in {"failed", "cancelled"} and run.archived_at is None:
        failed = [step for step in steps if step.state == "failed" and step.kind not in CONTAINERS]
        label = f"Retry {failed[0].step_id}" if len(failed) == 1 else "Retry"
        return Action(label, "rotate-cw", "run-retry", "runs.retry")
    if run.state in states.RUN_ENDED:
        return Action("Start again", "play", "run-again", "runs.start", plain=True)
    return Action("Cancel…", "ban", "run-cancel", "runs.cancel", style="btn-danger")


def shown_state(run: Run, steps: Sequence[StepView]) -> str:
    """Return the state that people see."""
    if run.state in states.RUN_ENDED:
        return run.state
    shown = {step.shown_state for step in steps}
    if "unknown" in shown:
        return "unknown"
    return "retrying" if "retrying" in shown and "running" not in shown else run.state


def nothing_moves(run: Run, steps: Sequence[StepView]) -> bool:
    """Say whether an open run has nothing that runs or waits, and neither a pause nor its place explains it."""
    if run.state in states.RUN_ENDED or run.state == "paused" or run.stopping or not run.admitted:
        return False
    leaves = [step for step in steps if step.kind not in CONTAINERS]
    return not any(step.state in {"running", "waiting", "unknown"} for step in leaves)


def stuck_since(run: Run, steps: Sequence[StepView], standing: Standing, *, now: datetime) -> datetime | None:
    """Return since when a begun run has made no progress that anything explains; None where it has."""
    if run.state == "queued" or standing.at is None or not nothing_moves(run, steps):
        return None
    return standing.at if now - standing.at > _STUCK_AFTER else None


def alert(
    run: Run,
    steps: Sequence[StepView],
    *,
    queue: Queue | None,
    stuck: datetime | None,
    held: Held | None,
    now: datetime,
) -> Alert | None:
    """Say what needs to be known first, or nothing."""
    unknown = next((step for step in steps if step.state == "unknown"), None)
    if unknown:
        return _unknown(unknown)
    if run.state == "failed":
        return _failed(run, steps)
    if held:
        return _held(held)
    if run.stopping:
        return Alert(
            tone="wait",
            icon="hourglass",
            headline="This run is being stopped.",
            detail="Nothing new starts; it ends when the attempts that run now have finished.",
        )
    if queue and not queue.workers and (run.state == "queued" or nothing_moves(run, steps)):
        return Alert(
            tone="wait",
            icon="hourglass",
            headline="No worker is running.",
            detail="The run is kept and goes on as soon as one is there: `manage.py worker` starts one.",
        )
    if stuck:
        return _stuck(stuck, now)
    return _queued(queue) if queue and run.state == "queued" else None


def _held(held: Held) -> Alert:
    return Alert(
        tone="wait",
        icon="circle-pause",
        headline=f"{held.by} paused this run",
        since=held.at,
        detail=f"{_sentence(held.reason)} Nothing new starts in it until somebody resumes it.".strip(),
    )


def _stuck(since: datetime, now: datetime) -> Alert:
    return Alert(
        tone="bad",
        icon="octagon-alert",
        headline=f"Nothing has happened for {formats.duration((now - since).total_seconds())}",
        detail="A step is ready and workers are alive, but none has taken it. `manage.py doctor` looks at "
        "broker, workers and clock. Cancelling and retrying is safe: finished steps keep their results.",
    )


def _queued(queue: Queue) -> Alert:
    ahead = f"{formats.plural(queue.ahead, 'run')} ahead" if queue.ahead else "next in line"
    wait = f", median wait {formats.duration(queue.median_wait_s)}" if queue.median_wait_s is not None else ""
    return Alert(
        tone="wait",
        icon="hourglass",
        headline=f"Waiting for a worker: {ahead}{wait}.",
        detail=f"{formats.plural(queue.workers, 'worker')} alive.",
    )


def _unknown(step: StepView) -> Alert:
    message = (step.error or {}).get("message", "")
    return Alert(
        tone="bad",
        icon="octagon-alert",
        headline=f"{step.path} has an unknown outcome",
        detail=f"{_sentence(message)} Its effect may have happened, so nothing repeats it by itself.".strip(),
        step=step.path,
        settle=True,
    )


def _failed(run: Run, steps: Sequence[StepView]) -> Alert:
    error = run.error or {}
    path = error.get("step") or next((step.path for step in steps if step.state == "failed"), "")
    step = next((step for step in steps if step.path == path), None)
    message = str(
        error.get("message") or (step.error or {}).get("message", "") if step else error.get("message", "")
    )
    if step is None:
        return Alert(tone="bad", icon="circle-x", headline="This run failed", detail=message)
    return Alert(
        tone="bad",
        icon="circle-x",
        headline=f"{path} failed after {formats.plural(max(step.failures, 1), 'attempt')}",
        detail=" ".join(part for part in (_sentence(message), effect_of_retry(step)) if part),
        step=path,
    )


def effect_of_retry(step: StepView) -> str:
    """Say what trying a failed step again would do."""
    if step.kind in _REPEATABLE:
        return "It changes nothing outside; a retry is safe."
    return "A retry sends it again under the same idempotency key."


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."


def first_to_look_at(run: Run, steps: Sequence[StepView]) -> StepView | None:
    """Return the step that the page opens with: what failed the run, else what runs, else the last model call."""
    failing = (run.error or {}).get("step")
    for step in steps:
        if failing and step.path == failing:
            return step
    leaves = [step for step in steps if step.kind not in CONTAINERS]
    for wanted in ("unknown", "failed", "running", "waiting"):
        found = next((step for step in leaves if step.state == wanted), None)
        if found:
            return found
    ran = [step for step in steps if step.parent_id is None and step.attempts]
    calls = [step for step in ran if step.kind == "prompt"]
    if ran:
        return (calls or ran)[-1]
    return steps[0] if steps else None
