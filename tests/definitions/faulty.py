"""Workers that take turns in a random order, and of which some die: what a test plays on a run.

Nothing here runs by itself: each move is made by the test. Time passes only when a move says so.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tests.engine import OPERATOR, expire
from tests.threads import DatabaseThread
from workflows import approvals, database, runs
from workflows.engine import attempt, changes, clock, commit, execute, lifecycle
from workflows.engine.commit import Change, Claim
from workflows.engine.leases import Active, Process
from workflows.engine.port import Spent
from workflows.engine.views import Known
from workflows.errors import Conflict
from workflows.models import Run, StepRun

# Moves and how often each is drawn. Each takes the number of a worker.
MOVES: Final = (
    *("claim", "finish") * 5,
    *("claim", "act", "finish_and_die", "go_on", "ring") * 2,
    *("forget", "repeat", "expire", "hand_back", "wake", "sweep", "answer", "signal"),
)
WORKERS: Final = 4


@dataclass
class Worker:
    """What one worker holds: an attempt, and the change that came of it."""

    claim: Claim | None = None
    change: Change | None = None
    known: Known = field(default_factory=Known)


class Stage:
    """Several workers, and commits that may still come late."""

    def __init__(self, run: Run, signals: Sequence[tuple[str, int]]) -> None:
        self.run, self.signals = run, list(signals)
        self.workers = [Worker() for _ in range(WORKERS)]
        self.late: list[tuple[Claim, Change]] = []
        self.held: set[uuid.UUID] = set()

    def play(self, moves: Sequence[tuple[str, int]]) -> None:
        for move, number in moves:
            getattr(self, move)(self.workers[number])
        self.late += [
            (worker.claim, worker.change) for worker in self.workers if worker.claim and worker.change
        ]

    def claim(self, worker: Worker) -> None:
        """Take the next row, whatever was held before."""
        self.forget(worker)
        worker.claim = commit.claim(worker="random", lease_s=30, idle=True)
        if worker.claim is not None:
            self.held.add(worker.claim.lease)

    def act(self, worker: Worker) -> None:
        """Do the work, but do not tell anybody yet."""
        if worker.claim is not None and worker.change is None:
            trying = execute.begin(Active(worker.claim, until=0.0), worker.known)
            worker.change = changes.of(trying, attempt.perform(trying), Spent())

    def finish(self, worker: Worker) -> None:
        self._commit(worker, follow=True)

    def finish_and_die(self, worker: Worker) -> None:
        """Commit; what should follow, closing and ringing, never does."""
        self._commit(worker, follow=False)

    def go_on(self, worker: Worker) -> None:
        """Commit, and take the next row of the run with it."""
        self._commit(worker, follow=True, go_on=True)

    def _commit(self, worker: Worker, *, follow: bool, go_on: bool = False) -> None:
        self.act(worker)
        if worker.claim is None or worker.change is None:
            return
        claim, change, worker.claim, worker.change = worker.claim, worker.change, None, None
        self.late.append((claim, change))  # a message may come twice
        if not self._apply(claim, change, follow=follow, go_on=go_on, then=worker):
            worker.known = Known()

    def _apply(
        self, claim: Claim, change: Change, *, follow: bool, go_on: bool = False, then: Worker | None = None
    ) -> bool:
        done = commit.apply(claim, change, worker="random", lease_s=30, go_on=go_on, next_lease=uuid.uuid4())
        assert done.applied == (claim.lease in self.held), f"{claim.path}: a lease that is not held counted"
        self.held.discard(claim.lease)
        if done.applied and follow:
            execute.follow(claim, done)
        if done.next is not None and then is not None:
            then.claim = done.next
            self.held.add(done.next.lease)
        return done.applied

    def forget(self, worker: Worker) -> None:
        """Die; what was done may still be told, late."""
        if worker.claim is not None and worker.change is not None:
            self.late.append((worker.claim, worker.change))
        worker.claim, worker.change, worker.known = None, None, Known()

    def repeat(self, worker: Worker) -> None:
        """Tell an old result: it is late, or its lease still holds."""
        if self.late:
            self._apply(*self.late.pop(0), follow=True)

    def expire(self, worker: Worker) -> None:
        """Let every lease run out. That a step lost again and again is condemned is another test's matter."""
        expire()
        database.fetch_all("UPDATE workflows_steprun SET alone = false RETURNING id", [])
        self.held.clear()

    def hand_back(self, worker: Worker) -> None:
        """Shut down: what this worker holds is ready again at once."""
        if worker.claim is not None:
            here = Process()
            with here.running(worker.claim, limit_s=60):
                lifecycle.hand_back(here)
            self.held.discard(worker.claim.lease)
            self.forget(worker)

    def ring(self, worker: Worker) -> None:
        """A bell without a row behind it, or one more than there are rows: one slice of work."""
        execute.work(Process())

    def wake(self, worker: Worker) -> None:
        """Make every timer due."""
        database.fetch_all(
            "UPDATE workflows_steprun SET wake_at = clock_timestamp() WHERE wake_at IS NOT NULL RETURNING id",
            [],
        )
        clock.wake()

    def sweep(self, worker: Worker) -> None:
        """The rest of the clock's duties, after a while in which nothing moved."""
        database.fetch_all("UPDATE workflows_run SET created_at = '2020-01-01' RETURNING id", [])
        clock.ring_again()
        clock.close_unclosed()
        clock.time_out()
        clock.end_overdue()

    def answer(self, worker: Worker) -> None:
        """Decide what people are asked, as the title says."""
        for asked in approvals.open_ones():
            with suppress(Conflict):  # its run went another way meanwhile
                approvals.decide(asked.pk, approved=asked.title.startswith("1"), actor=OPERATOR, groups=None)

    def signal(self, worker: Worker) -> None:
        """Send what some step waits for, or will."""
        waiting = list(
            StepRun.objects.filter(state="waiting", reason="signal").values_list("run_id", "awaits")
        )
        for run, name in waiting:
            with suppress(Conflict):
                runs.signal(run, str(name), int(str(name)[1:]), actor=OPERATOR)
        if not waiting and self.signals:
            name, value = self.signals.pop()
            with suppress(Conflict):
                runs.signal(self.run.pk, name, value, actor=OPERATOR)

    def settle(self) -> None:
        """Let everybody live, and the clock run, until the run has ended.

        Raises: AssertionError: it does not.
        """
        while self.late:
            self.repeat(self.workers[0])
        for _ in range(60):
            for move in (self.expire, self.wake, self.answer, self.signal, self.sweep):
                move(self.workers[0])
            in_threads(lambda: _drain(Process()), count=2)
            self.run.refresh_from_db()
            if self.run.ended_at is not None:
                return
        open_steps = self.run.steps.exclude(state="succeeded").values_list("path", "state", "reason")
        raise AssertionError(f"{self.run.state}: {list(open_steps)}")


def _drain(here: Process) -> None:
    while execute.work(here):
        pass


def in_threads(work: Callable[[], None], *, count: int) -> None:
    """Do the same in several threads at once. Raises: what the first of them raised."""
    raised: list[BaseException] = []

    def careful() -> Any:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    threads = [DatabaseThread(target=careful) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]
