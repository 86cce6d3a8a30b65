"""Workers as the statements see them: they claim, send, renew, commit, die, and come back late.

What comes of a leaf step is played; what a map does is worked out by the engine's own code. Nothing is rung for:
every bell is lost, and whoever looks takes what is ready.
"""

from __future__ import annotations

import uuid
from typing import Final

from tests.db.engine.statements import outcomes
from tests.db.engine.statements.ledger import Attempt, Ledger, Row
from tests.db.engine.statements.outcomes import Came
from workflows import database
from workflows.engine import attempt as attempts
from workflows.engine import changes, clock, commit, execute
from workflows.engine.commit import Change, Claim, Committed
from workflows.engine.leases import Active
from workflows.engine.outcomes import (
    Expanded,
    Failed,
    Outcome,
    Skipped,
    StepError,
    Succeeded,
    Unknown,
)
from workflows.engine.port import Spent
from workflows.engine.views import Known

LEASE_S: Final = 300.0
_FAILED: Final = Failed(error=StepError(error_class="server_error", message="It did not work."))
_FOR_GOOD: Final = Failed(error=StepError(error_class="input_invalid", message="It cannot work."))
_POISON: Final = Failed(error=StepError(error_class="poison", message="It was lost too often."))
_PLAYED: Final[dict[Came, Outcome]] = {
    "succeeded": Succeeded(output={"v": 1}),
    "skipped": Skipped(),
    "failed": _FAILED,
    "failed for good": _FOR_GOOD,
    "unknown": Unknown(error=StepError(error_class="timeout", message="No reply.")),
}


class Workers:
    """Every attempt that was ever made, whatever has become of it, with what came of it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.claims: dict[Attempt, Claim] = {}
        self.asked: set[Attempt] = set()  # whether they may send
        self.came: dict[Attempt, tuple[Came, Change]] = {}

    def held(self) -> list[Attempt]:
        return [attempt for attempt in self.claims if attempt.holds()]

    def late(self) -> list[Attempt]:
        """Return attempts that hold nothing any more; where there are some, those whose steps others are at."""
        late = [attempt for attempt in self.claims if not attempt.holds()]
        return [each for each in late if each.row.state == "running"] or late

    def unheard(self) -> list[Attempt]:
        return [attempt for attempt in self.claims if attempt.row.state == "unknown"]

    def have_sent(self) -> list[Attempt]:
        return [attempt for attempt in self.held() if attempt.row.sent]

    def about_to_send(self) -> list[Attempt]:
        """Return the attempts at a `once` step that have not sent, whether or not they still hold it."""
        once = [each for each in self.claims if each.row.step.kind == "once"]
        return [each for each in once if each not in self.came and each not in self.asked]

    def claim(self, *, idle: bool) -> Attempt | None:
        """Take what is ready: one of those that may begin, and some if there are."""
        may = self.ledger.claimable(idle=idle)
        claimed = commit.claim(worker="model", lease_s=LEASE_S, idle=idle)
        if claimed is None:
            assert not may, f"nobody is given {[row.path for row in may]}"
            return None
        return self._begun(claimed, may)

    def _begun(self, claimed: Claim, may: list[Row]) -> Attempt:
        found = [row for row in may if (row.run.id, row.path, row.epoch) == _key(claimed)]
        assert found, f"{claimed.run} {claimed.path}, epoch {claimed.epoch}, may not begin"
        attempt = self.ledger.begin(found[0], claimed.lease)
        told = (claimed.number, claimed.failures, claimed.settling, claimed.poison, claimed.alone)
        expected = (attempt.number, attempt.failures, attempt.settling, attempt.poison, attempt.alone)
        assert told == expected, f"{claimed.path}: the claim says {told}, not {expected}"
        self.claims[attempt] = claimed
        return attempt

    def send(self, attempt: Attempt) -> None:
        """Mark that a `once` call goes out: only with a lease that has not run out."""
        row = attempt.row
        self.asked.add(attempt)
        may = attempt.holds() and not row.overdue
        assert commit.sending(self.claims[attempt], {"key": row.path}) == may, (
            f"{row.path}: sent without a lease"
        )
        if may:
            assert not row.doubt, f"{row.path} is sent again, though nobody knows what came of it"
            row.sent = row.doubt = True

    def come_to(self, attempt: Attempt, wanted: Came) -> Came:
        """Do the work, once; nobody is told yet. A map comes to what it comes to."""
        if attempt not in self.came:
            trying = execute.begin(Active(self.claims[attempt], until=0.0), Known())
            outcome, came = self._worked(attempt, trying, wanted)
            self.came[attempt] = came, changes.of(trying, outcome, Spent())
        return self.came[attempt][0]

    def _worked(self, attempt: Attempt, trying: attempts.Attempt, wanted: Came) -> tuple[Outcome, Came]:
        row = attempt.row
        if attempt.poison:
            return _POISON, "failed for good"
        if not row.step.is_map:
            return _PLAYED[wanted], wanted
        outcome = attempts.perform(trying)
        expected: type[Outcome] = Expanded
        if attempt.settling or not row.step.items:
            expected = Failed if row.broken else Succeeded
        assert isinstance(outcome, expected), f"{row.path} came to {outcome}, not {expected.__name__}"
        return outcome, _NAMES[expected]

    def commit(self, attempt: Attempt, *, follow: bool, go_on: bool = False) -> Attempt | None:
        """Tell what came of it; return what the worker goes on with. Without `follow` it dies right after."""
        claimed, (came, change) = self.claims[attempt], self.came[attempt]
        applies = outcomes.counts(attempt, came)
        done = commit.apply(
            claimed, change, worker="model", lease_s=LEASE_S, go_on=go_on, next_lease=uuid.uuid4()
        )
        assert done.applied == applies, f"{claimed.path}: {came} was {'' if done.applied else 'not '}applied"
        if not applies:
            assert done.next is None
            return None
        outcomes.commit(attempt, came)
        return self._followed(attempt, done, follow=follow)

    def _followed(self, attempt: Attempt, done: Committed, *, follow: bool) -> Attempt | None:
        run = attempt.row.run
        if done.ended:
            assert outcomes.ends(run), f"{run.id} ended too early"
            outcomes.end(self.ledger, run)
        following = None if done.next is None else self._next(done.next)
        if follow:
            execute.follow(self.claims[attempt], done)
            outcomes.close(self.ledger, run)
        else:
            run.swept = False
        return following

    def _next(self, claimed: Claim) -> Attempt:
        rows = [row for run in self.ledger.runs for row in run.rows.values() if not row.needs_left()]
        for row in rows:
            if row.held and (row.run.id, row.path, row.epoch) == _key(claimed):
                row.held = False  # the next item of its map
        return self._begun(claimed, self.ledger.claimable())

    def renew(self, asked: list[Attempt]) -> None:
        """Send a heartbeat for these attempts; those that hold are told so, whether or not they were overdue."""
        kept = database.call(
            "interlock_heartbeat", "model", "here", 1, 1, False, [each.lease for each in asked], LEASE_S
        )
        assert sorted(kept) == sorted(str(each.lease) for each in asked if each.holds())
        for each in asked:
            each.row.overdue = each.row.overdue and not each.holds()

    def run_out(self, overdue: list[Attempt]) -> None:
        """Let leases run out; nobody notices yet."""
        database.fetch_all(
            "UPDATE workflows_steprun SET lease_until = clock_timestamp() - interval '1 s' "
            "WHERE lease = ANY ($1) RETURNING id",
            [[each.lease for each in overdue]],
        )
        for each in overdue:
            each.row.overdue = True

    def expire(self, *, follow: bool) -> None:
        """The clock takes back what has run out; without `follow` it dies right after."""
        self._gone([each for each in self.held() if each.row.overdue], "lost", follow=follow)

    def hand_back(self, leases: list[Attempt]) -> None:
        """A worker shuts down."""
        self._gone([each for each in leases if each.holds()], "interrupted", follow=True)

    def _gone(self, attempts: list[Attempt], how: outcomes.GivenUp, *, follow: bool) -> None:
        leases = [each.lease for each in attempts]
        if how == "lost":
            gone = database.call("interlock_expire", 100, 0.0)
        else:
            gone = database.call("interlock_hand_back", leases)
        told = sorted((step["run"], step["path"]) for step in gone)
        assert told == sorted((each.row.run.id, each.row.path) for each in attempts), f"{how}: {told}"
        for each in attempts:
            outcomes.give_up(each.row, how)
        if follow:
            clock.after_loss(gone)
        for each in attempts:
            if not follow:
                each.row.run.swept = False
            elif each.row.state != "idle" or each.row.run.state == "paused":
                outcomes.close(self.ledger, each.row.run)


_NAMES: Final[dict[type[Outcome], Came]] = {
    Succeeded: "succeeded",
    Failed: "failed for good",
    Expanded: "expanded",
}


def _key(claimed: Claim) -> tuple[str, str, int]:
    return claimed.run, claimed.path, claimed.epoch
