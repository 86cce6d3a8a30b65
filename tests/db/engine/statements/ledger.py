"""What has to be: the runs, step runs and attempts of a test, as their definitions and the moves so far demand.

Whether a step may begin is never counted down here: it follows from what it needs, each time anew. Reads no table.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.db.engine.statements.definitions import Shape, Step

ENDED: Final = frozenset({"succeeded", "skipped", "failed", "cancelled"})
RUN_ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})
# What has not begun or waits, and so is cancelled where nothing may begin any more.
NOT_AT_WORK: Final = frozenset({"idle", "backoff", "inside"})


@dataclass(eq=False, kw_only=True, repr=False)
class Row:
    """A step run.

    `state`: `idle` until it may begin and somebody claims it, `running`, `backoff` until it is tried again, `inside`
    while a map waits for its items, `unknown`, or how it ended.
    """

    run: Run
    path: str
    step: Step
    needs: tuple[str, ...]
    epoch: int = 1
    item: int | None = None
    parent: str | None = None
    at_end: bool = False
    held: bool = False  # an item beyond `max_parallel`
    state: str = "idle"
    settling: bool = False  # its items have ended
    broken: bool = False  # a failure inside was absorbed by this container
    over: bool = False  # a failure was absorbed around it: nothing follows from what it comes to
    attempts: int = 0
    failures: int = 0
    losses: int = 0
    alone: bool = False
    poison: bool = False
    sent: bool = False
    doubt: bool = False  # a `once` call went out, and nobody knows what came of it
    lease: uuid.UUID | None = None
    overdue: bool = False  # its lease has run out, and nobody has noticed

    def needs_left(self) -> int:
        """Count what it waits for."""
        return sum(not self.run.is_done(path) for path in self.needs)

    def may_begin(self) -> bool:
        run = self.run
        going = run.state in ("queued", "running", "waiting")
        going = going and (self.at_end or (run.admitted and not run.stopping))
        return self.state == "idle" and going and not self.held and not self.needs_left()


@dataclass(eq=False, kw_only=True, repr=False)
class Run:
    """A run. `swept`: whatever could be closed has been; not so after a worker that died right after its commit."""

    id: str
    shape: Shape
    number: int
    state: str = "queued"
    stopping: str = ""
    closing: str = ""
    admitted: bool = True
    started: bool = False
    swept: bool = True
    rows: dict[str, Row] = field(default_factory=dict)
    old: list[Row] = field(default_factory=list)  # superseded
    crowded: set[str] = field(default_factory=set)  # maps with an item that a person led on beside others

    def __repr__(self) -> str:
        words = [
            self.state,
            self.stopping and f"to be {self.stopping}",
            "" if self.admitted else "not admitted",
        ]
        return f"{self.id} of {self.shape} ({', '.join(word for word in words if word)})"

    def is_done(self, path: str) -> bool:
        """Say whether what needs this step may begin, as far as it goes."""
        row = self.rows[path]
        return row.state in ("succeeded", "skipped") or (row.state == "failed" and row.step.continues)

    def goes_on(self) -> bool:
        return self.state not in RUN_ENDED

    def open(self) -> list[Row]:
        return [row for row in self.rows.values() if row.state not in ENDED]

    def inside(self, path: str, item: int | None = None) -> list[Row]:
        """Return what is inside of a map, or of one of its items."""
        return [
            row for row in self.rows.values() if row.parent == path and (item is None or row.item == item)
        ]

    def all_rows(self) -> Iterator[Row]:
        yield from self.rows.values()
        yield from self.old

    def supersede(self, row: Row) -> None:
        self.old.append(self.rows.pop(row.path))

    def add(self, steps: tuple[Step, ...], *, epoch: int = 1, at_end: bool = False) -> None:
        """Lay out the steps of the top, or those at the end."""
        for step in steps:
            row = Row(run=self, path=step.id, step=step, needs=step.needs, epoch=epoch, at_end=at_end)
            self.rows[row.path] = row

    def lay_out(self, of: Row) -> None:
        """Lay out the items of a map."""
        for item in range(of.step.items):
            prefix = f"{of.path}[{item}]/"
            for step in of.step.inside:
                self.rows[prefix + step.id] = Row(
                    run=self,
                    path=prefix + step.id,
                    step=step,
                    needs=tuple(prefix + need for need in step.needs),
                    epoch=of.epoch,
                    item=item,
                    parent=of.path,
                    held=item >= of.step.parallel and not step.needs,
                )


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Attempt:
    """What a worker holds, or once held. `failures`: of the step before it."""

    row: Row
    lease: uuid.UUID
    number: int
    failures: int
    settling: bool
    poison: bool
    alone: bool

    def holds(self) -> bool:
        return self.row.state == "running" and self.row.lease == self.lease


@dataclass(eq=False)
class Ledger:
    """All runs of one example."""

    runs: list[Run] = field(default_factory=list)

    def start(self, run_id: str, shape: Shape) -> Run:
        taken = sum(run.admitted and run.goes_on() for run in self.of(shape))
        run = Run(
            id=run_id,
            shape=shape,
            number=len(self.runs),
            closing="pending" if shape.at_end else "",
            admitted=shape.limit is None or taken < shape.limit,
        )
        run.add(shape.steps)
        self.runs.append(run)
        return run

    def of(self, shape: Shape) -> list[Run]:
        return [run for run in self.runs if run.shape.name == shape.name]

    def claimable(self, *, idle: bool = True) -> list[Row]:
        """Return what a worker may begin now. `idle`: it runs nothing else, so that it may take what runs alone."""
        rows = [row for run in self.runs for row in run.rows.values()]
        return [row for row in rows if row.may_begin() and (idle or not row.alone)]

    def begin(self, row: Row, lease: uuid.UUID) -> Attempt:
        """A worker has taken a step run."""
        run = row.run
        run.state, run.started = "running", True
        row.state, row.lease, row.sent, row.over, row.overdue = "running", lease, False, False, False
        row.attempts += 1
        return Attempt(
            row=row,
            lease=lease,
            number=row.attempts,
            failures=row.failures,
            settling=row.settling,
            poison=row.poison,
            alone=row.alone,
        )
