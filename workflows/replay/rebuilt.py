"""The state of a run as its record tells it, up to some event. What expressions read of it is `views.State`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from workflows import payloads, states
from workflows.engine import scope as scopes
from workflows.engine import views
from workflows.engine.commit import Claim
from workflows.engine.outcomes import Child
from workflows.replay.record import Record
from workflows.replay.rows import Row

Json = Any
NOTHING: Final = Decimal(0)


@dataclass
class Tried:
    """One attempt of a step run."""

    number: int
    state: str
    worker: str
    started_at: datetime
    ended_at: datetime | None = None
    error: Mapping[str, Json] | None = None


@dataclass(kw_only=True)
class Step(Row):
    """One step run, and what has come of it so far."""

    at_end: bool = False
    failures: int = 0
    losses: int = 0
    failing: Mapping[str, Json] | None = None  # what one of the steps inside failed with
    answer: str | None = None
    child: str | None = None  # the run that it started and waits for
    cost_usd: Decimal = NOTHING
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: list[Tried] = field(default_factory=list)
    changed_by: int = 0  # the event that changed it last

    @property
    def is_done(self) -> bool:
        return self.state in states.STEP_ENDED


@dataclass
class Rebuilt:
    """A run at an event: its state, its current step runs by path, and those that a later epoch has replaced."""

    record: Record
    state: str = "queued"
    stopping: str = ""
    error: Mapping[str, Json] | None = None
    steps: dict[str, Step] = field(default_factory=dict)
    superseded: list[Step] = field(default_factory=list)
    # Values that no stored payload has to hold: frames that the replay itself has made.
    made: dict[str, Json] = field(default_factory=dict)

    def lay_out(self, rows: Sequence[Child], *, epoch: int, at_end: bool = False) -> None:
        """Add step runs; one that was there under the same path gives way to the later epoch."""
        for row in rows:
            frame = row.frame
            if isinstance(frame, dict):
                key = payloads.digest(frame).hex()
                self.made[key], frame = frame, key
            self.replace(
                Step(
                    path=row.path,
                    step_id=row.step_id,
                    kind=row.kind,
                    epoch=epoch,
                    ordinal=row.ordinal,
                    waiting_on=row.waiting_on,
                    item=row.item,
                    frame=frame,
                    held=row.held,
                    at_end=at_end,
                    state="pending" if row.waiting_on or row.held else "ready",
                )
            )

    def replace(self, step: Step) -> None:
        earlier = self.steps.pop(step.path, None)
        if earlier is not None:
            self.superseded.append(earlier)
        self.steps[step.path] = step

    def release(self, paths: Sequence[str]) -> None:
        """Count down what waits for a step that is done."""
        for path in paths:
            step = self.steps.get(path)
            if step is not None and step.state == "pending" and step.waiting_on:
                step.waiting_on -= 1
                if not step.waiting_on and not step.held:
                    step.state = "ready"

    def fail_container(self, path: str, error: Mapping[str, Json]) -> None:
        if path in self.steps and self.steps[path].state == "waiting":
            self.steps[path].failing = error


class Seen:
    """A rebuilt run as expressions see it: `views.State`. What an attempt is about to commit changes nothing."""

    def __init__(self, rebuilt: Rebuilt) -> None:
        self.rebuilt = rebuilt

    def steps(self, paths: Mapping[str, str]) -> dict[str, views.View]:
        return {step_id: self._view(path) for step_id, path in paths.items()}

    def below(self, prefix: str) -> dict[str, views.View]:
        return {path: self._view(path) for path in self.rebuilt.steps if path.startswith(prefix)}

    def frames(self, container: Claim) -> dict[int, scopes.Frame | scopes.Turn]:
        prefix = f"{container.path}["
        inside = {
            int(step.path[len(prefix) :].partition("]")[0]): step.frame
            for step in self.rebuilt.steps.values()
            if step.path.startswith(prefix) and "/" not in step.path[len(prefix) :].partition("]/")[2]
        }
        return {
            number: found for number, key in inside.items() if (found := views.frame(self, key)) is not None
        }

    def value(self, key: str | None) -> Json:
        if key is None:
            return None
        return self.rebuilt.made[key] if key in self.rebuilt.made else self.rebuilt.record.value(key)

    def given(self, path: str) -> Json:
        return self.value(self.rebuilt.steps[path].input)

    def spent_usd(self, prefix: str) -> Decimal:
        found = (step.cost_usd for step in self.rebuilt.steps.values() if step.path.startswith(prefix))
        return sum(found, NOTHING)

    def learn(self, path: str, view: views.View) -> None:
        """The journal says what was committed."""

    def _view(self, path: str) -> views.View:
        step = self.rebuilt.steps.get(path)
        if step is None:
            return scopes.NEVER_REACHED
        return {"output": self.value(step.output), "state": step.state, "error": step.error}
