"""What the ledger says after a person has cancelled, paused, led on or settled something.

Each returns whether the move is allowed; one that is not changes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from tests.db.engine.statements import outcomes
from tests.db.engine.statements.ledger import ENDED, Attempt, Ledger, Row, Run

Action = Literal["retry", "supply", "skip", "fail"]
_CAME: Final[Mapping[Action, outcomes.Came]] = {
    "supply": "succeeded",
    "skip": "skipped",
    "fail": "failed for good",
}


def cancel(ledger: Ledger, run: Run) -> bool:
    """Stop a run for good; asked once more, its steps at the end too."""
    if not run.goes_on():
        return False
    if run.stopping == "cancelled" and run.closing != "running":
        return True
    if not run.started:
        run.closing = ""
    outcomes.stop(run, "cancelled", at_end=True)
    if not any(row.state == "running" for row in run.rows.values()):
        if run.closing == "pending":
            outcomes.close(ledger, run)
        else:
            outcomes.end(ledger, run)
    return True


def pause(run: Run) -> bool:
    if run.state not in ("queued", "running", "waiting") or run.stopping:
        return False
    run.state = "paused"
    return True


def resume(ledger: Ledger, run: Run) -> bool:
    if run.state != "paused" or run.stopping:
        return False
    run.state = "running" if run.started else "queued"
    if outcomes.ends(run):
        outcomes.end(ledger, run)
    return True


def past_deadline(ledger: Ledger, run: Run) -> bool:
    if not run.goes_on() or run.stopping:
        return False
    outcomes.stop(run, "failed", at_end=False)
    outcomes.close(ledger, run)
    return True


@dataclass
class _Reach:
    """What running a step again reaches: rows that run again, containers that wait for them, rows that go."""

    again: set[str] = field(default_factory=set)
    around: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)

    def all(self) -> set[str]:
        return self.again | self.around | self.gone


def _reach(run: Run, path: str) -> _Reach:
    target = run.rows[path]
    found = _Reach(again={path} | _after(run, path))
    if target.parent:
        found.around = {target.parent}
        found.again |= _after(run, target.parent)
    found.gone = {row.path for row in run.rows.values() if row.parent in found.again}
    return found


def _after(run: Run, path: str) -> set[str]:
    """Return what needs a step, directly or not."""
    direct = {row.path for row in run.rows.values() if path in row.needs}
    return direct.union(*(_after(run, each) for each in direct))


def retry(ledger: Ledger, run: Run, from_path: str | None = None) -> bool:
    """Lead an ended run on, from what failed, or again from a step that ran."""
    if run.state not in ("failed", "cancelled"):
        return False
    reach = _reach(run, from_path) if from_path else _Reach()
    body = [row for row in run.rows.values() if not row.at_end]
    reopened = _reopened([row for row in body if row.path not in reach.all()])
    ends_badly = any(row.at_end and row.state in ("failed", "cancelled") for row in run.rows.values())
    if not (reach.again or reopened or ends_badly or run.state == "cancelled" or run.open()):
        return False  # what failed is its output
    epoch = max(row.epoch for row in run.all_rows()) + 1
    run.state, run.stopping, run.closing = "running", "", "pending" if run.shape.at_end else ""
    run.started, run.admitted = True, _place(ledger, run)
    with_items = {row.parent for row in body}
    for row in reopened:
        _reopen(row, has_items=row.path in with_items)
    for row in [row for row in run.rows.values() if row.at_end or row.path in reach.gone]:
        run.supersede(row)
    for path in sorted(reach.again | reach.around):
        if path in run.rows:
            _renew(run, path, epoch=epoch, waits=path in reach.around)
    run.crowded |= reach.around
    run.swept = False
    if not reach.again and not reopened:
        outcomes.close(ledger, run)
    return True


def _place(ledger: Ledger, run: Run) -> bool:
    limit = run.shape.limit
    others = [each for each in ledger.of(run.shape) if each is not run]
    return limit is None or sum(each.admitted and each.goes_on() for each in others) < limit


def _reopened(rows: list[Row]) -> list[Row]:
    """Return what goes on: cancelled and failed steps, but for failures that somebody absorbed, and all with them."""
    taken = [scope for row in rows if row.state == "failed" and (scope := _absorbed(row)) is not None]
    return [
        row
        for row in rows
        if row.state in ("failed", "cancelled")
        and not (row.state == "failed" and _absorbed(row) is not None)
        and not any(row.parent is not None and _lies_in(row, scope) for scope in taken)
    ]


def _absorbed(row: Row) -> tuple[str, int | None] | None:
    """Return where a failure was absorbed: in an item of a map, in all of it, or ('', None) by the step itself."""
    if row.step.continues:
        return "", None
    around = row.run.rows[row.parent] if row.parent else None
    if around is not None and around.step.drops_items:
        return around.path, row.item
    if around is not None and around.step.continues:
        return around.path, None
    return None


def _lies_in(row: Row, scope: tuple[str, int | None]) -> bool:
    return row.parent == scope[0] and scope[1] in (None, row.item)


def _reopen(row: Row, *, has_items: bool) -> None:
    if not has_items:
        row.state, row.settling = "idle", False
    elif row.state == "failed":  # it could not take in what its items gave
        still_open = any(each.state not in ENDED for each in row.run.inside(row.path))
        row.state, row.settling = ("inside", False) if still_open else ("idle", True)
    else:
        row.state, row.settling = "inside", False
    row.alone = row.poison = False
    row.failures = row.losses = 0


def _renew(run: Run, path: str, *, epoch: int, waits: bool) -> None:
    row = run.rows[path]
    run.supersede(row)
    run.rows[path] = Row(
        run=run,
        path=path,
        step=row.step,
        needs=row.needs,
        epoch=epoch,
        item=row.item,
        parent=row.parent,
        state="inside" if waits else "idle",
    )


def resolve(ledger: Ledger, row: Row, action: Action) -> bool:
    """Settle a step that failed, or of which nobody knows what came."""
    run = row.run
    if row.state == "unknown":
        if action == "retry":
            return _again(row)
    elif row.state != "failed" or action == "fail":
        return False
    elif action == "retry":
        return retry(ledger, run)
    elif not _lead_on_but(ledger, row):
        return False
    settle(ledger, row, action)
    return True


def _again(row: Row) -> bool:
    run = row.run
    if not run.goes_on() or (run.stopping and not row.at_end):
        return False
    row.state, row.doubt = "idle", False
    return True


def _lead_on_but(ledger: Ledger, row: Row) -> bool:
    """Lead a run on, but for one failed step, which is unknown until it is settled."""
    run = row.run
    with_items = row.step.is_map and bool(run.inside(row.path))
    if row.at_end or with_items or _absorbed(row) is not None or not retry(ledger, run):
        return False
    row.state = "unknown"
    return True


def settle(ledger: Ledger, row: Row, action: Action) -> None:
    """Write what a person says in place of the attempt whose outcome is unknown."""
    came = _CAME[action]
    attempt = Attempt(
        row=row,
        lease=uuid.UUID(int=0),
        number=row.attempts,
        failures=row.failures,
        settling=False,
        poison=False,
        alone=False,
    )
    outcomes.commit(attempt, came)
    outcomes.close(ledger, row.run)
