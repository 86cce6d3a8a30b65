"""The machine: every move is made on the database and on the ledger, and then the two are compared."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.db.engine.statements import definitions, outcomes, people, tables
from tests.db.engine.statements.definitions import Shape
from tests.db.engine.statements.ledger import Attempt, Ledger, Row, Run
from tests.db.engine.statements.outcomes import Came
from tests.db.engine.statements.workers import Workers
from tests.engine import OPERATOR, check_journal, start
from workflows import database, recovery, runs
from workflows.engine import bundle, clock
from workflows.errors import Conflict
from workflows.models import Run as StoredRun

Thing = TypeVar("Thing")
ANY: Final = st.integers(0, 10_000)
CAME: Final[st.SearchStrategy[Came]] = st.sampled_from(
    ("succeeded", "succeeded", "succeeded", "failed", "failed", "failed for good", "skipped")
)
MOST_RUNS: Final = 3
EXAMPLES: Final = int(os.environ.get("STATEMENT_EXAMPLES", "0"))
SHAPES: Final = 2**32 if EXAMPLES else 16
_TABLES: Final = ("run", "steprun", "attempt", "journalevent", "lineage", "auditentry")


def pick(things: Sequence[Thing], number: int) -> Thing:
    return things[number % len(things)]


class Machine(RuleBasedStateMachine):
    """Runs of two workflows, and everybody who has to do with them."""

    deployed: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.workers = Workers(self.ledger)
        self.shapes: list[Shape] = []

    @initialize(first=st.integers(0, SHAPES - 1), second=st.integers(0, SHAPES - 1))
    def deploy(self, first: int, second: int) -> None:
        forget()
        if EXAMPLES:
            self.shapes = [definitions.drawn(first), definitions.drawn(second)]
            definitions.deploy(self.shapes, self.deployed)
        else:  # they are few, and deployed at once
            few = [definitions.drawn(seed) for seed in range(SHAPES)]
            definitions.deploy(few, self.deployed)
            self.shapes = [few[first], few[second]]
        note(f"{self.shapes}")
        for shape in self.shapes:
            self._start(shape)

    def _start(self, shape: Shape) -> None:
        run = start(shape.name)
        # So old that nobody is thought to be on the way to close it.
        database.fetch_all(
            "UPDATE workflows_run SET created_at = created_at - interval '1 h' WHERE id = $1 RETURNING 1",
            [run.pk],
        )
        self.ledger.start(run.pk, shape)

    @rule(number=ANY)
    @precondition(lambda self: len(self.ledger.runs) < MOST_RUNS)
    def starts(self, number: int) -> None:
        self._start(pick(self.shapes, number))

    # Workers

    @rule(idle=st.sampled_from((True, True, True, False)))
    def claims(self, idle: bool) -> None:
        self.workers.claim(idle=idle)

    @rule()
    def claims_all(self) -> None:
        while self.workers.claim(idle=True) is not None:
            pass

    @rule(number=ANY)
    @precondition(lambda self: self.workers.about_to_send())
    def sends(self, number: int) -> None:
        """A worker is about to send a `once` call: it may have lost its lease."""
        self.workers.send(pick(self.workers.about_to_send(), number))

    @rule()
    @precondition(lambda self: self.workers.about_to_send())
    def all_send(self) -> None:
        for each in self.workers.about_to_send():
            self.workers.send(each)

    @rule(number=ANY, came=CAME)
    @precondition(lambda self: self.workers.held())
    def commits(self, number: int, came: Came) -> None:
        self._commit(pick(self.workers.held(), number), came)

    @rule(number=ANY, came=CAME)
    @precondition(lambda self: self.workers.held())
    def commits_and_goes_on(self, number: int, came: Came) -> None:
        self._commit(pick(self.workers.held(), number), came, go_on=True)

    @rule(number=ANY, came=CAME)
    @precondition(lambda self: self.workers.held())
    def commits_and_dies(self, number: int, came: Came) -> None:
        self._commit(pick(self.workers.held(), number), came, follow=False)

    @rule(number=ANY, came=CAME)
    @precondition(lambda self: self.workers.late())
    def comes_late(self, number: int, came: Came) -> None:
        """A worker tells a result after its lease was lost, or once more."""
        self._commit(pick(self.workers.late(), number), came)

    @rule(number=ANY, came=CAME)
    @precondition(lambda self: self.workers.unheard())
    def a_reply_comes_late(self, number: int, came: Came) -> None:
        """Of a call of which nobody knew what came; its step may have been run again meanwhile."""
        self._commit(pick(self.workers.unheard(), number), came)

    @rule(number=ANY)
    @precondition(lambda self: self.workers.have_sent())
    def knows_not_what_came(self, number: int) -> None:
        self._commit(pick(self.workers.have_sent(), number), "unknown")

    def _commit(self, attempt: Attempt, came: Came, *, follow: bool = True, go_on: bool = False) -> None:
        came = self.workers.come_to(attempt, came)
        note(f"{attempt.row.path} {attempt.number}: {came}")
        self.workers.commit(attempt, follow=follow, go_on=go_on and not attempt.alone)

    def _attempts(self) -> list[Attempt]:
        return list(self.workers.claims)

    @rule(number=ANY)
    @precondition(lambda self: self.workers.held())
    def renews(self, number: int) -> None:
        self.workers.renew(self._attempts()[number % 3 :: 3])

    @rule(number=ANY)
    @precondition(lambda self: self.workers.held())
    def hands_back(self, number: int) -> None:
        self.workers.hand_back(self._attempts()[number % 2 :: 2])

    # The clock

    @rule(number=ANY, sends=st.booleans())
    @precondition(lambda self: self.workers.held())
    def leases_run_out(self, number: int, sends: bool) -> None:
        """Workers are frozen for a while, and nobody has noticed when they go on."""
        late = self.workers.held()[number % 2 :: 2]
        self.workers.run_out(late)
        for each in self.workers.about_to_send():
            if sends and each in late:
                self.workers.send(each)

    @rule(number=ANY, dies=st.sampled_from((False, False, True)))
    @precondition(lambda self: self.workers.held())
    def leases_expire(self, number: int, dies: bool) -> None:
        held = self.workers.held()
        self.workers.run_out(held[number % 3 :: 3] or held)
        self.workers.expire(follow=not dies)

    @rule()
    def sweeps(self) -> None:
        """The clock closes what dead workers left, and rings for what nobody comes for."""
        clock.close_unclosed()
        for run in self.ledger.runs:
            run.swept = True
            outcomes.close(self.ledger, run)
        tables.compare(self.ledger)
        rung = database.call("interlock_overdue", 0.0, 200)
        assert len(rung) == len(self.ledger.claimable()), f"rung for {rung}"

    @rule()
    @precondition(lambda self: self._rows("backoff"))
    def wakes(self) -> None:
        waiting = self._rows("backoff")
        database.fetch_all(
            "UPDATE workflows_steprun SET wake_at = clock_timestamp() WHERE wake_at IS NOT NULL RETURNING id",
            [],
        )
        clock.wake()
        for row in waiting:
            row.state = "idle"

    def _rows(self, state: str) -> list[Row]:
        return [row for run in self.ledger.runs for row in run.rows.values() if row.state == state]

    def _deadline_passes(self, run: Run) -> None:
        _set_deadline(run, "clock_timestamp() - interval '1 s'")
        clock.end_overdue()
        _set_deadline(run, "NULL")
        people.past_deadline(self.ledger, run)

    # People

    @rule(number=ANY, how=st.sampled_from(("cancel", "pause", "deadline")))
    def stands_in_the_way(self, number: int, how: str) -> None:
        """One rule for what ends or holds a run: with one for each, few runs would come far."""
        run = pick(self.ledger.runs, number)
        note(f"{how} {run.id}")
        {"cancel": self._cancel, "pause": self._pause, "deadline": self._deadline_passes}[how](run)

    def _cancel(self, run: Run) -> None:
        allowed = _allowed(lambda: runs.cancel(run.id, actor=OPERATOR))
        assert people.cancel(self.ledger, run) == allowed, f"{run}: cancelled {allowed}"

    def _pause(self, run: Run) -> None:
        allowed = _allowed(lambda: runs.pause(run.id, actor=OPERATOR))
        assert people.pause(run) == allowed, f"{run}: paused {allowed}"

    @rule(number=ANY)
    @precondition(lambda self: any(run.state == "paused" for run in self.ledger.runs))
    def resumes(self, number: int) -> None:
        self._resume(pick(self.ledger.runs, number))

    def _resume(self, run: Run) -> None:
        allowed = _allowed(lambda: runs.resume(run.id, actor=OPERATOR))
        assert people.resume(self.ledger, run) == allowed, f"{run.id}: resumed {allowed}"

    @rule(number=ANY)
    @precondition(lambda self: self._ended())
    def retries(self, number: int) -> None:
        run = pick(self._ended(), number)
        allowed = _allowed(lambda: recovery.retry(run.id, actor=OPERATOR))
        assert people.retry(self.ledger, run) == allowed, f"{run.id}: retried {allowed}"

    @rule(number=ANY, step=ANY)
    @precondition(lambda self: self._ended())
    def retries_from(self, number: int, step: int) -> None:
        run = pick(self._ended(), number)
        ran = [row for row in run.rows.values() if row.attempts and not row.at_end]
        if not ran:
            return
        path = pick(ran, step).path
        note(f"from {path}")
        allowed = _allowed(lambda: recovery.retry(run.id, actor=OPERATOR, from_step=path))
        assert people.retry(self.ledger, run, path) == allowed, f"{run.id}: retried from {path} {allowed}"

    def _ended(self) -> list[Run]:
        return [run for run in self.ledger.runs if run.state in ("failed", "cancelled")]

    @rule(number=ANY, action=st.sampled_from(("retry", "supply", "skip", "fail")))
    @precondition(lambda self: self._rows("unknown") or self._rows("failed"))
    def resolves(self, number: int, action: people.Action) -> None:
        row = pick(self._rows("unknown") or self._rows("failed"), number)
        note(f"{row.path} was {row.state}")
        given: dict[str, Any] = {"action": action, "actor": OPERATOR, "reason": "looked it up"}
        allowed = _allowed(lambda: recovery.resolve(row.run.id, row.path, **given))
        assert people.resolve(self.ledger, row, action) == allowed, f"{row.path}: resolved {allowed}"

    # After each move, and at the end

    def check_invariants(self, settings: Any, *arguments: Any, **named: Any) -> None:
        super().check_invariants(settings, *arguments, **named)
        if self.shapes:
            tables.compare(self.ledger)

    def teardown(self) -> None:
        if self.shapes and sys.exc_info()[0] is None:  # else something was found already
            self._drain()
        super().teardown()

    def _drain(self) -> None:
        """Let everybody live and the clock run, until nothing moves any more."""
        for run in self.ledger.runs:
            if run.state == "paused":
                self._resume(run)
        for _ in range(60):
            if not any(run.goes_on() for run in self.ledger.runs):
                break
            self._tend()
        for run in self.ledger.runs:
            waits = any(_asks(each) for each in ([run] if run.admitted else self.ledger.of(run.shape)))
            told = [(row.path, row.state) for row in run.open()]
            assert not run.goes_on() or waits, f"{run} neither ends nor waits for a person: {told}"
            check_journal(StoredRun.objects.get(pk=run.id))

    def _tend(self) -> None:
        self.workers.run_out(self.workers.held())
        self.workers.expire(follow=True)
        self.wakes()
        self.sweeps()
        going = self.workers.claim(idle=True)
        while going is not None:
            note(f"{going.row.path}: {self.workers.come_to(going, 'succeeded')}")
            following = self.workers.commit(going, follow=True, go_on=True)
            tables.compare(self.ledger)
            going = following or self.workers.claim(idle=True)


def _asks(run: Run) -> bool:
    """Say whether a run waits for a person to tell what came of a call."""
    return run.goes_on() and any(row.state == "unknown" for row in run.rows.values())


def _allowed(move: Callable[[], object]) -> bool:
    try:
        move()
    except Conflict:
        return False
    return True


def _set_deadline(run: Run, when: str) -> None:
    database.fetch_all(
        f"UPDATE workflows_run SET deadline_at = {when} WHERE id = $1 RETURNING id",  # noqa: S608
        [run.id],
    )


def forget() -> None:
    """Let every example begin with nothing to work on."""
    bundle.forget_providers()
    for table in _TABLES:
        database.fetch_all(f"WITH gone AS (DELETE FROM workflows_{table}) SELECT 1", [])  # noqa: S608
