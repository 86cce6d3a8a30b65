"""Hold the journal against the tables: invariants 1, 2 and 5 of the engine. Reads alone.

State is rebuilt from the events of a run and compared with its rows. Between two events a step moves among
pending, ready and waiting without one: nothing but the clock and its needs decides about that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.definitions.parts import Workflow
from workflows.models import JournalEvent, Run, StepRun

Json = Any
_WAITS: Final = frozenset({"pending", "ready", "waiting"})
_ENDS: Final = frozenset({"succeeded", "skipped", "failed", "cancelled"})
# Event → the state that a step has then, as far as events tell.
_STEP: Final = {
    "attempt.started": "running",
    "step.sending": "running",
    "step.retrying": "waits",
    "step.expanded": "waits",
    "step.waiting": "waits",
    "step.answered": "waits",
    "step.unknown": "unknown",
    **{f"step.{state}": state for state in _ENDS},
}
_RUN: Final = {
    "run.created": "queued",
    "run.started": "running",
    "run.went_on": "running",
    "run.waiting": "waiting",
    "run.paused": "paused",
    "run.succeeded": "succeeded",
    "run.failed": "failed",
    "run.cancelled": "cancelled",
}


@dataclass
class Rebuilt:
    """What the events of one step run, or of the run itself, say."""

    state: str
    events: int = 0
    attempts: int = 0
    failures: int = 0
    losses: int = 0
    output: str | None = None
    ends: list[int] = field(default_factory=list)  # the seq of each event that ends it

    def note(self, event: JournalEvent) -> None:
        self.events += 1
        assert event.n == self.events, f"{event.step or 'run'}: event {event.n} where {self.events} is due"
        if event.type == "attempt.late":
            return  # recorded, never applied
        if event.type == "attempt.started":
            assert self.state == "waits", f"attempt {event.attempt} of {event.step} began while {self.state}"
            self.attempts += 1
            assert event.attempt == self.attempts, (event.step, event.attempt, self.attempts)
        if event.type in ("attempt.lost", "attempt.interrupted"):
            assert self.state == "running", (event.step, self.state)
            self.losses += event.type == "attempt.lost"
            told = event.data["state"]
            self.state = "waits" if told in _WAITS else told
        else:
            self.state = _STEP[event.type]
        self.failures += event.type in ("step.failed", "step.retrying")
        if self.state in _ENDS:
            assert not self.ends, f"{event.step} ended twice"
            self.ends.append(event.seq)
            self.output = event.data.get("output")


def check(run: Run, workflow: Workflow | None = None) -> None:
    """Hold one run's journal against its rows; with its `workflow` in causal order too."""
    run.refresh_from_db()
    events = list(JournalEvent.objects.filter(run=run).order_by("seq"))
    rebuilt: dict[tuple[str, int | None], Rebuilt] = defaultdict(lambda: Rebuilt("waits"))
    for event in events:
        if event.step is not None:
            rebuilt[event.step, event.epoch].note(event)
    steps = list(StepRun.objects.filter(run=run))
    assert rebuilt.keys() <= {(step.path, step.epoch) for step in steps}
    for step in steps:
        _check_step(step, rebuilt[step.path, step.epoch])
    _check_run(run, [event for event in events if event.step is None])
    if workflow is not None:
        _check_order(workflow, events)


def _check_step(step: StepRun, told: Rebuilt) -> None:
    state = "waits" if step.state in _WAITS else step.state
    stored = (state, step.events, step.attempts_made, step.failures, step.losses)
    assert stored == (told.state, told.events, told.attempts, told.failures, told.losses), (step.path, told)
    output = None if step.output_hash is None else bytes(step.output_hash).hex()
    assert output == told.output, (step.path, output, told.output)
    assert (step.state == "running") == (step.lease is not None)
    running = step.attempts.filter(state="running").count()
    assert running == (step.state == "running"), (step.path, step.state, running)


def _check_run(run: Run, events: Sequence[JournalEvent]) -> None:
    assert [event.n for event in events] == list(range(1, run.events + 1))
    assert events[0].type == "run.created"
    state, started = "", False
    for event in events:
        assert state not in _ENDS, f"{event.type} after the run was {state}"
        started = started or event.type in ("run.started", "run.closing")
        if event.type == "run.resumed":
            state = "running" if started else "queued"
        elif event.type == "run.closing":
            state = "waiting" if state == "waiting" else "running"
        else:
            state = _RUN.get(event.type, state)
    assert state == run.state, (state, run.state)
    assert (run.ended_at is not None) == (run.state in _ENDS)


def _check_order(workflow: Workflow, events: Sequence[JournalEvent]) -> None:
    """What could have caused an event has a smaller `seq`."""
    needs = {name: step.needs for name, step in workflow.index().items()}
    ended: dict[str, int] = {}
    laid_out: set[str] = set()
    run_ended = False
    for event in events:
        path = event.step or ""
        if event.step is None:
            run_ended = run_ended or event.type in ("run.succeeded", "run.failed", "run.cancelled")
            continue
        assert not run_ended or event.type == "attempt.late", f"{event.type} of {path} after the run's end"
        prefix, _, name = path.rpartition("/")
        if event.type == "attempt.started":
            missing = [need for need in needs[name] if f"{prefix}/{need}".lstrip("/") not in ended]
            assert not missing, f"{path} began before {missing}"
            assert not prefix or prefix.rpartition("[")[0] in laid_out or prefix in laid_out, path
        if event.type == "step.expanded":
            laid_out.add(path)
        if event.type[5:] in _ENDS and event.type.startswith("step."):
            ended[path] = event.seq
