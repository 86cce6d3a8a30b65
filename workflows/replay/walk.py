"""Walk through a record, event by event: decide every outcome anew over the recorded port, and compare.

What was recorded always wins: after a difference the walk goes on with what happened, so that one changed step does
not hide what else is different.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from workflows import payloads
from workflows.engine import attempt, changes, decide, views
from workflows.engine import scope as scopes
from workflows.engine.attempt import Attempt
from workflows.engine.commit import Change, Claim
from workflows.engine.plan import Node
from workflows.engine.port import Spent
from workflows.replay import compare
from workflows.replay.compare import Divergence
from workflows.replay.port import NotRecorded, RecordedPort
from workflows.replay.rebuilt import NOTHING, Rebuilt, Seen, Step, Tried
from workflows.replay.record import Event, Record
from workflows.spec import templates

Json = Any
# Ends of an attempt that something outside of it decided: the clock, a person, a worker's death.
_FROM_OUTSIDE: Final = frozenset({"poison", "resolved_as_failed"})
_STATES: Final = {"retrying": "waiting", "expanded": "waiting"}
# What a claim says to a worker alone.
_UNHELD: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("parent", "deadline_at", "repeats", "fork")),
    **dict.fromkeys(("step", "attempt", "priority"), 0),
    **dict.fromkeys(("alone", "poison", "sealed"), False),
    "lane": "",
    "lease": uuid.UUID(int=0),
}
MOST: Final = 100  # divergences that are told


@dataclass
class Walk:
    """One walk. `checked`: how many outcomes were decided anew; `missing`: what would have been needed for others."""

    record: Record
    run: Rebuilt = field(init=False)
    checked: int = 0
    divergences: list[Divergence] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    errors: list[Mapping[str, Json]] = field(default_factory=list)  # failures that could have ended the run

    def __post_init__(self) -> None:
        self.run = Rebuilt(self.record)
        self.seen = Seen(self.run)
        self.bundle = self.record.bundles[int(self.record.events[0].data["release"])]

    def to(self, until: int | None = None) -> Rebuilt:
        """Go to the event `until`, or to the end; return the run as it was then."""
        for event in self.record.events:
            if until is not None and event.seq > until:
                break
            if event.step is None:
                self._of_run(event)
            else:
                self._of_step(event, event.step)
        return self.run

    def diverges(self, found: Divergence) -> None:
        follows = found.what == "steps" and self.missing  # what could not be decided laid nothing out
        if not follows and len(self.divergences) < MOST:
            self.divergences.append(found)

    # --- the run's own events

    def _of_run(self, event: Event) -> None:
        handle = _OF_RUN.get(event.type)
        if handle is not None:
            handle(self, event)
        moved = _RUN_STATES.get(event.type)
        if moved is not None:
            self.run.state = moved

    def _created(self, event: Event) -> None:
        plan = self.bundle.plan
        self.run.lay_out(decide.children(plan, plan.top, prefix=""), epoch=1)

    def _forked(self, event: Event) -> None:
        """A fork begins in the middle: what was kept of the other run, and what runs again."""
        self.run.steps.clear()
        for row in self.seen.value(event.data["rows"]):
            self.run.steps[row["path"]] = Step(**row)

    def _closing(self, event: Event) -> None:
        """The steps at the end begin; of a run that failed by its deadline only its end says why."""
        plan = self.bundle.plan
        if event.data.get("outcome") == "failed" and self.run.error is None:
            ends = (each for each in self.record.events if each.seq > event.seq and each.type == "run.failed")
            self.run.error = next((end.data.get("error") for end in ends), None)
        epochs = [step.epoch for step in (*self.run.steps.values(), *self.run.superseded) if step.at_end]
        rows = decide.children(plan, plan.last, prefix="")
        self.run.lay_out(rows, epoch=max(epochs, default=0) + 1, at_end=True)

    def _retried(self, event: Event) -> None:
        self.run.stopping, self.run.error = "", None
        self.errors.clear()
        if "release" in event.data:
            self.bundle = self.record.bundles[int(event.data["release"])]
        last = [path for path, step in self.run.steps.items() if step.at_end]
        for path in (*last, *event.data.get("superseded", ())):
            if path in self.run.steps:
                self.run.superseded.append(self.run.steps.pop(path))
        for row in event.data.get("again", ()):
            self._lay_again(row)
        for row in event.data.get("added", ()):
            self._add(row)

    def _lay_again(self, row: Mapping[str, Json]) -> None:
        """A step is to run once more in a new epoch; a container around it waits for it, with what it had."""
        earlier = next(step for step in reversed(self.run.superseded) if step.path == row["path"])
        waits = row["state"] == "waiting"
        self.run.steps[earlier.path] = Step(
            path=earlier.path,
            step_id=earlier.step_id,
            kind=earlier.kind,
            epoch=row["epoch"],
            ordinal=earlier.ordinal,
            item=earlier.item,
            frame=earlier.frame,
            state=row["state"],
            waiting_on=row["waiting_on"],
            settles=waits,
            input=row.get("input", earlier.input) if waits else None,
        )

    def _add(self, row: Mapping[str, Json]) -> None:
        """A step that only the release has on which the run goes on."""
        plan = self.bundle.plan
        (child,) = (each for each in decide.children(plan, plan.top, prefix="") if each.path == row["path"])
        self.run.lay_out([replace(child, waiting_on=row["waiting_on"])], epoch=row["epoch"])

    def _cancel_requested(self, event: Event) -> None:
        self.run.stopping = "cancelled"

    def _succeeded(self, event: Event) -> None:
        recorded = event.data.get("output")
        try:
            value = templates.render(self.bundle.plan.definition.output, self._at_end())
        except templates.TemplateError as problem:
            self.diverges(compare.run_output(self.record, event, None, str(problem)))
        except payloads.PayloadMissing as gone:
            self.missing.append(f"the run's output: {gone}")
        else:
            if payloads.digest(value).hex() != recorded:
                self.diverges(compare.run_output(self.record, event, value, None))
        for step in self.run.steps.values():
            if not step.is_done:
                self.diverges(compare.never_ran(step, event))

    def _failed(self, event: Event) -> None:
        error = event.data.get("error") or {}
        if error.get("class") != "deadline" and error.get("step") is not None and error not in self.errors:
            self.diverges(compare.run_error(event, self.errors))
        self.run.error = error or None

    def _at_end(self) -> Mapping[str, Json]:
        return views.scope_at_end(self._run_view(), self.bundle.plan, self.seen)

    def _run_view(self) -> scopes.RunView:
        record = self.record
        return scopes.RunView(
            id=record.run,
            input=self.seen.value(record.input),
            started_at=record.started_at,
            variables=record.variables,
            session=record.session,
        )

    # --- events of step runs

    def _of_step(self, event: Event, path: str) -> None:
        step = self.run.steps.get(path)
        if step is None and self._was_replaced(event, path):
            return  # a late word about a step at the end, before the run of today has come to its end
        if step is None or (event.epoch or 1) > step.epoch:
            step = self._unexpected(event, path)
        elif (event.epoch or 1) < step.epoch:
            return  # a late word about an epoch that another one has replaced
        step.changed_by = event.seq
        kind, _, what = event.type.partition(".")
        if kind == "attempt":
            self._of_attempt(event, step, what)
        elif what == "answered":
            step.state, step.answer = "ready", event.data.get("answer")
        elif what == "reopened":
            self._reopen(step, event)
        elif what != "sending":
            self._ended(event, step, what)

    def _was_replaced(self, event: Event, path: str) -> bool:
        return any(step.path == path and step.epoch == (event.epoch or 1) for step in self.run.superseded)

    def _unexpected(self, event: Event, path: str) -> Step:
        """A step run that the walk has not laid out: it is told, and followed all the same."""
        step_id = compare.step_id_of(self.bundle.plan, path)
        self.diverges(compare.not_laid_out(event, path))
        step = Step(path=path, step_id=step_id, kind="", epoch=event.epoch or 1, ordinal=0)
        if step_id in self.bundle.plan.nodes:
            step.kind = self.bundle.plan.nodes[step_id].step.kind
        self.run.replace(step)
        return step

    def _of_attempt(self, event: Event, step: Step, what: str) -> None:
        if what == "started":
            step.state, step.waiting_on, step.held = "running", 0, False
            step.started_at = step.started_at or event.at
            worker = str(event.data.get("worker", ""))
            step.attempts.append(Tried(event.attempt or 0, "running", worker, event.at))
        elif what in ("lost", "interrupted"):
            step.state = str(event.data.get("state", "ready"))
            step.losses += what == "lost"
            self._end_attempt(step, event, what)

    def _end_attempt(self, step: Step, event: Event, state: str) -> None:
        for tried in step.attempts:
            if tried.number == event.attempt:
                tried.state, tried.ended_at, tried.error = state, event.at, event.data.get("error")

    def _reopen(self, step: Step, event: Event) -> None:
        if step.state != "unknown":
            step.failures = 0
            step.losses = 0
        inside = any(path.startswith((f"{step.path}/", f"{step.path}[")) for path in self.run.steps)
        step.state = str(event.data.get("state", "ready"))
        step.settles = bool(event.data.get("settles", inside or step.state == "waiting"))
        step.error = step.ended_at = None
        if not event.data.get("failing"):
            step.failing = None

    def _ended(self, event: Event, step: Step, what: str) -> None:
        """An attempt has come to something: decide the same anew, then go on with what is recorded."""
        change = self._decided(event, step) if self._decides(event, step, what) else None
        step.state = _STATES.get(what, what)
        step.input = event.data.get("input") or step.input
        step.output = event.data.get("output")
        if what != "cancelled" or event.attempt is not None:  # one that is told to stop keeps its last error
            step.error = event.data.get("error")
        step.failures += what in ("failed", "retrying")
        step.settles = what in ("expanded", "waiting")
        step.child = event.data.get("run") if what == "waiting" else step.child
        step.cost_usd += self._cost(step, event)
        step.ended_at = event.at if step.is_done else None
        if event.attempt is not None:
            done = {"unknown": "failed", "retrying": "failed", "skipped": "succeeded"}
            self._end_attempt(step, event, done.get(what, "succeeded" if step.settles else what))
        self._follow(event, step, change)

    def _decides(self, event: Event, step: Step, what: str) -> bool:
        """Say whether an outcome is one that the run decided itself, and can decide again."""
        if event.attempt is None or what == "cancelled" or "resolved" in event.data:
            return False
        error = event.data.get("error") or {}
        outside = error.get("class") in _FROM_OUTSIDE
        return not outside and step.step_id in self.bundle.plan.nodes

    def _decided(self, event: Event, step: Step) -> Change | None:
        node = self.bundle.plan.nodes[step.step_id]
        trying = self._trying(event, step, node)
        try:
            change = changes.of(trying, attempt.come_to(trying), Spent())
        except payloads.PayloadMissing as gone:
            self.missing.append(f"{step.path}: {gone}")
            return None
        except NotRecorded as asked:
            self.diverges(compare.asks_for_more(event, step, str(asked)))
            return None
        except Exception as crash:  # whatever our own code does now is the finding
            if (event.data.get("error") or {}).get("class") != "internal":
                self.diverges(compare.crashes(event, step, crash))
            return None
        self.checked += 1
        for found in compare.outcomes(self.seen, self.bundle, event, step, change):
            self.diverges(found)
        return change

    def _trying(self, event: Event, step: Step, node: Node) -> Attempt:
        claim = self._claim(event, step)
        calls = iter(self.record.calls.get((step.path, step.epoch, event.attempt or 0), ()))
        port = RecordedPort(event, step, self.seen, calls)
        return Attempt(claim, self.bundle, node, port, self.seen)

    def _claim(self, event: Event, step: Step) -> Claim:
        """Put the claim together that the worker held; what only a worker needs is left empty."""
        record = self.record
        return Claim(
            **_UNHELD,
            run=record.run,
            path=step.path,
            step_id=step.step_id,
            kind=step.kind,
            epoch=step.epoch,
            answer=step.answer,
            item=step.item,
            item_hash=step.frame,
            number=event.attempt or 0,
            failures=step.failures,
            losses=step.losses,
            settling=step.settles,
            input_hash=step.input,
            failing=self._failing(event, step),
            release=self.bundle.release,
            workflow=record.workflow,
            environment=record.environment,
            run_input=record.input,
            pins=record.pins,
            variables=record.variables,
            session=record.session,
            run_error=self.run.error,
            run_started_at=record.started_at,
            tree_path=record.run,
        )

    def _failing(self, event: Event, step: Step) -> Mapping[str, Json] | None:
        """Return what a container fails with; that the clock gave up on what is inside only its end says."""
        error: Mapping[str, Json] = event.data.get("error") or {}
        timed_out = step.settles and step.failing is None and error.get("class") == "timeout"
        return error if timed_out else step.failing

    def _follow(self, event: Event, step: Step, change: Change | None) -> None:
        """Lay out and release what follows; a failure goes as far up as somebody takes it."""
        node = self.bundle.plan.nodes.get(step.step_id)
        if node is None or not (step.is_done or step.settles):
            return
        goes_on = not self.run.stopping or step.at_end
        if goes_on and change is not None and step.state in ("waiting", "succeeded"):
            self.run.lay_out(change.children, epoch=step.epoch, at_end=step.at_end)
        if goes_on and step.is_done and step.state != "cancelled":
            self.run.release(changes.after(node, step.kind, step.path))
        if step.state == "failed":
            self._fail(step, node)

    def _fail(self, step: Step, node: Node) -> None:
        fails = changes.failing(self.bundle.plan, node, step.kind, step.path, step.error or {})
        if fails is None:
            return
        if fails["scope"] == "container":
            self.run.fail_container(str(fails["container"]), fails["error"])
        elif fails["scope"] == "run":
            self.errors.append(fails["error"])
            self.run.stopping = self.run.stopping or "failed"
            self.run.error = self.run.error or fails["error"]

    def _cost(self, step: Step, event: Event) -> Any:
        calls = self.record.calls.get((step.path, step.epoch, event.attempt or 0), ())
        return sum((call.cost_usd for call in calls if call.cost_usd is not None), NOTHING)


_OF_RUN: Final[Mapping[str, Callable[[Walk, Event], None]]] = {
    "run.created": Walk._created,
    "run.forked": Walk._forked,
    "run.closing": Walk._closing,
    "run.retried": Walk._retried,
    "run.cancel_requested": Walk._cancel_requested,
    "run.succeeded": Walk._succeeded,
    "run.failed": Walk._failed,
}
_RUN_STATES: Final = {
    "run.started": "running",
    "run.went_on": "running",
    "run.waiting": "waiting",
    "run.paused": "paused",
    "run.resumed": "running",
    "run.retried": "running",
    "run.succeeded": "succeeded",
    "run.failed": "failed",
    "run.cancelled": "cancelled",
}
