"""Hold the ledger against the tables after a move.

What is left open to the engine is read from the tables and then held to: which items of a map go next, and, after a
worker that died right after its commit, how much of what it left behind is closed already.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.db.engine.statements import outcomes
from tests.db.engine.statements.ledger import RUN_ENDED, Ledger, Row, Run
from workflows import database

Json = Any
_STEPS = """
    SELECT s.run_id, s.path, s.epoch, s.superseded, s.state, s.reason, s.waiting_on, s.held, s.settling, s.alone,
           s.sent, s.lease, s.attempts_made, s.failures, s.losses,
           (SELECT count(*) FROM workflows_attempt a WHERE a.step_run_id = s.id AND a.state = 'running')
      FROM workflows_steprun s
"""
_RUNS = "SELECT id, state, stopping, closing, admitted, started_at IS NOT NULL FROM workflows_run"
_WAITING = {"backoff": "retry", "inside": "children"}


@dataclass(frozen=True)
class Step:
    """A row of the table of step runs."""

    superseded: bool
    state: str
    reason: str
    waiting_on: int
    held: bool
    settling: bool
    alone: bool
    sent: bool
    lease: uuid.UUID | None
    attempts: int
    failures: int
    losses: int
    under_way: int

    def word(self) -> str:
        """Return the ledger's word for its state."""
        if self.state == "waiting":
            return {reason: word for word, reason in _WAITING.items()}[self.reason]
        return "idle" if self.state in ("pending", "ready") else self.state


@dataclass(frozen=True)
class Stored:
    state: str
    stopping: str
    closing: str
    admitted: bool
    started: bool


Steps = Mapping[tuple[str, str, int], Step]


def compare(ledger: Ledger) -> None:
    """Raise AssertionError where the tables are not as the ledger demands."""
    steps: Steps = {
        (run, path, epoch): Step(*rest) for run, path, epoch, *rest in database.fetch_all(_STEPS, [])
    }
    stored = {run: Stored(*rest) for run, *rest in database.fetch_all(_RUNS, [])}
    for run in ledger.runs:
        _catch_up(ledger, run, stored[run.id], steps)
    found = [line for run in ledger.runs for line in _run(run, stored[run.id], steps)]
    expected = {(run.id, row.path, row.epoch) for run in ledger.runs for row in run.all_rows()}
    found += [f"{key}: only in one of the two" for key in steps.keys() ^ expected]
    found += _places(ledger)
    assert not found, "\n".join(found)


def _catch_up(ledger: Ledger, run: Run, stored: Stored, steps: Steps) -> None:
    """Take over what is the engine's to choose: the items that were let go, what is closed of what was left behind."""
    for row in run.rows.values():
        step = steps.get((run.id, row.path, row.epoch))
        if row.held and step is not None and not step.held:
            row.held = False
    if run.swept or not run.goes_on():
        return
    for row in outcomes.closable(run):
        if steps[run.id, row.path, row.epoch].word() == "idle":
            outcomes.settle(row)
    if outcomes.ends(run) and (stored.state in RUN_ENDED or stored.closing != run.closing):
        outcomes.end(ledger, run)


def _run(run: Run, stored: Stored, steps: Steps) -> Iterator[str]:
    told = (stored.stopping, stored.closing, stored.admitted, stored.started)
    expected = (run.stopping, run.closing, run.admitted, run.started)
    if told != expected:
        yield f"{run.id}: stopping, closing, admitted, started are {told}, not {expected}"
    if problem := _state(run, stored.state):
        yield f"{run.id} is {stored.state}, not {run.state}: {problem}"
    for row in run.all_rows():
        step = steps.get((run.id, row.path, row.epoch))
        if step is not None and (differs := list(_differences(row, step))):
            yield f"{run.id} {row.path}, epoch {row.epoch}: " + ", ".join(differs)
    yield from _items(run)


def _state(run: Run, state: str) -> str:
    """Say what is wrong. A run that goes on is `waiting` once it was noticed that nothing of it can move."""
    if run.state != "running" or state not in ("running", "waiting"):
        return "" if state == run.state else "another state"
    runs = any(row.state == "running" for row in run.rows.values())
    return "something in it runs" if runs and state == "waiting" else ""


def _differences(row: Row, step: Step) -> Iterator[str]:
    run = row.run
    superseded = run.rows.get(row.path) is not row
    wanted = "ready" if not superseded and row.may_begin() else "pending"
    state = _WAITING.get(row.state, row.state)
    pairs = {
        "state": (
            step.reason if step.state == "waiting" else step.state,
            wanted if row.state == "idle" else state,
        ),
        "superseded": (step.superseded, superseded),
        "attempts": (step.attempts, row.attempts),
        "under way": (step.under_way, int(row.state == "running")),
        "failures": (step.failures, row.failures),
        "losses": (step.losses, row.losses),
        "alone": (step.alone, row.alone),
        "sent": (step.sent, row.sent),
        "lease": (step.lease, row.lease),
        "settling": (step.settling, row.settling),
        "held": (step.held and row.state == "idle", row.held and row.state == "idle"),
    }
    if row.state == "idle" and not superseded:
        pairs["waits for"] = (step.waiting_on, row.needs_left())
        pairs["poison"] = (step.reason == "poison", row.poison)
    if row.state == "running":
        pairs["over"] = (step.reason == "over", row.over)
    for name, (found, expected) in pairs.items():
        if found != expected:
            yield f"{name} {found}, not {expected}"


def _items(run: Run) -> Iterator[str]:
    """No more items are under way than `max_parallel`; as long as there are any, one is."""
    for row in run.rows.values():
        if row.state != "inside":
            continue
        rows = run.inside(row.path)
        left = {each.item for each in rows if each.state == "idle" and each.held}
        going = {each.item for each in rows if each in run.open()} - left
        if len(going) > row.step.parallel and row.path not in run.crowded:
            yield f"{run.id} {row.path}: items {going} are under way, {row.step.parallel} may"
        if left and not going and run.swept and run.state != "paused":
            yield f"{run.id} {row.path}: items {left} wait, and none is under way"


def _places(ledger: Ledger) -> Iterator[str]:
    for run in ledger.runs:
        taken = [each.id for each in ledger.of(run.shape) if each.admitted and each.goes_on()]
        if run.shape.limit is not None and len(taken) > run.shape.limit:
            yield f"{taken} have a place, {run.shape.limit} may"
