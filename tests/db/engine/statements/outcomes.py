"""What the ledger says after an attempt has come to something: committed, lost, or handed back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from tests.db.engine.statements.ledger import ENDED, NOT_AT_WORK, Attempt, Ledger, Row, Run

GivenUp = Literal["lost", "interrupted"]
# `failed for good`: never tried again, whatever the policy says.
Came = Literal["succeeded", "skipped", "failed", "failed for good", "unknown", "expanded"]


def counts(attempt: Attempt, came: Came) -> bool:
    """Say whether an outcome is applied: the attempt holds its step, or it settles what is unknown of it."""
    row = attempt.row
    if attempt.holds():
        return True
    settles = row.state == "unknown" and row.attempts == attempt.number and row.run.rows.get(row.path) is row
    return settles and came not in ("unknown", "expanded") and not _tries_again(attempt, came)


def _tries_again(attempt: Attempt, came: Came) -> bool:
    return came == "failed" and not attempt.settling and attempt.failures + 1 < attempt.row.step.attempts


def commit(attempt: Attempt, came: Came) -> None:
    """Write an outcome that counts."""
    row = attempt.row
    over, row.over, row.settling, row.poison = row.over, False, False, False
    row.lease, row.sent, row.overdue = None, False, False
    row.doubt = row.doubt and came == "unknown"
    stopped = over or (row.run.stopping != "" and not row.at_end)
    if came == "expanded":
        row.state = "cancelled" if stopped else "inside"
        if not stopped:
            row.run.lay_out(row)
    elif came == "unknown":
        row.state = "unknown"
    elif came in ("succeeded", "skipped"):
        row.state = came
    elif _tries_again(attempt, came):
        row.state = "cancelled" if stopped else "backoff"
        row.failures += not stopped
    else:
        row.failures += 1
        row.state = "failed"
        _fail(row)


def _fail(row: Row) -> None:
    """A final failure goes up as far as nobody absorbs it."""
    run = row.run
    if row.step.continues:
        return
    around = run.rows[row.parent] if row.parent else None
    if around is not None and around.step.drops_items:
        end_scope(run.inside(around.path, row.item))
    elif around is not None and around.step.continues:
        around.broken = around.broken or around.state == "inside"
        end_scope(run.inside(around.path))
    else:
        stop(run, "failed", at_end=row.at_end)


def end_scope(rows: Iterable[Row]) -> None:
    """Nothing more begins in a scope; what runs there may finish, and leads to nothing."""
    for row in rows:
        row.over = row.over or row.state == "running"
    cancel_idle(rows)


def cancel_idle(rows: Iterable[Row]) -> None:
    for row in rows:
        if row.state in NOT_AT_WORK:
            row.state = "cancelled"


def stop(run: Run, how: str, *, at_end: bool) -> None:
    """Nothing more begins in a run, at its end neither if `at_end`."""
    if run.goes_on() and (how == "cancelled" or not run.stopping):
        run.stopping = how
    cancel_idle([row for row in run.rows.values() if at_end or not row.at_end])


def give_up(row: Row, how: GivenUp) -> None:
    """An attempt has ended without a result."""
    lost = how == "lost"
    if row.sent:
        row.state = "unknown"
    elif row.over or (row.run.stopping and not row.at_end):
        row.state = "cancelled"
    else:
        row.state = "idle"
    row.poison = row.state == "idle" and lost and row.alone
    row.losses += lost
    row.alone = row.alone or row.losses >= 2
    row.lease, row.sent, row.over, row.overdue = None, False, False, False


def close(ledger: Ledger, run: Run) -> None:
    """Close what has no unfinished part left: maps first, then the run.

    Of what a dead worker left behind it is not said here how much is closed before the clock comes by.
    """
    if not run.goes_on() or not run.swept:
        return
    for row in closable(run):
        settle(row)
    if ends(run):
        end(ledger, run)


def closable(run: Run) -> list[Row]:
    """Return the maps whose items have all ended."""
    if run.stopping and run.closing != "running":
        return []
    waiting = [row for row in run.rows.values() if row.state == "inside"]
    return [row for row in waiting if all(each.state in ENDED for each in run.inside(row.path))]


def settle(row: Row) -> None:
    row.state, row.settling = "idle", True


def ends(run: Run) -> bool:
    """Say whether a run that goes on has nothing left to do: it ends, or its steps at the end begin."""
    rows = run.open()
    if run.stopping:
        return not any(row.at_end or row.state == "running" or row.may_begin() for row in rows)
    return not rows and run.state != "paused"


def end(ledger: Ledger, run: Run) -> None:
    """End a run, or begin the steps at its end."""
    if run.closing == "pending":
        run.closing = "running"
        run.state = "running" if run.state in ("queued", "paused") else run.state
        run.started = True
        past = [row.epoch for row in run.all_rows() if row.at_end]
        run.add(run.shape.at_end, epoch=max(past, default=0) + 1, at_end=True)
        return
    run.state, run.stopping = run.stopping or "succeeded", ""
    admit(ledger, run)


def admit(ledger: Ledger, after: Run) -> None:
    """The oldest runs that wait for a place take those that are free."""
    shape = after.shape
    if shape.limit is None:
        return
    for run in ledger.of(shape):
        taken = sum(each.admitted and each.goes_on() for each in ledger.of(shape))
        if taken < shape.limit and run.goes_on() and not run.admitted and not run.stopping:
            run.admitted = True
