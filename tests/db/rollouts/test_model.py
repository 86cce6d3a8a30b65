"""The machine of rollouts against a model: people, clocks, measurements and crashes in any order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests import rolling
from tests.db.rollouts.test_crashes import Died, dying_at
from tests.rolling import ANNA, BEN
from workflows import states
from workflows.errors import Conflict, Refused
from workflows.models import AuditEntry, Deployment, Measurement, Release, Rollout
from workflows.models.rollouts import ROLLOUT_ACTIVE
from workflows.releases import rollouts, tending
from workflows.releases.judging import Judged, Verdict
from workflows.releases.machine import Seen

STEPS: list[dict[str, Any]] = [
    {"weight": 5},
    {"analysis": "errors"},
    {"weight": 25},
    {"pause": {}},
    {"weight": 60},
    {"analysis": "errors"},
]
WEIGHTS = (5.0, 25.0, 60.0)
PEOPLE = st.sampled_from([ANNA, BEN])
VERDICTS = st.sampled_from(["pass", "pass", "wait", "fail"])


class Rolling(RuleBasedStateMachine):
    """What was seen so far: the highest weight by rollout, ended ones as they ended, and how many moves were made."""

    protected = False

    def __init__(self) -> None:
        super().__init__()
        self.moment = rolling.now()
        self.reached: dict[int, float] = {}
        self.ended: dict[int, tuple[Any, ...]] = {}
        self.stale: Rollout | None = None
        self.seen: Seen = Seen()

    @initialize(protected=st.booleans())
    def empty(self, protected: bool) -> None:
        Measurement.objects.all().delete()
        Rollout.objects.all().delete()
        AuditEntry.objects.filter(object_kind="rollout").delete()
        first = Release.objects.get(workflow="echo", number=1)
        Deployment.objects.filter(workflow="echo").update(stable=first)  # as the example before began
        rolling.environment(steps=STEPS, protected=protected)
        self.protected = protected

    def active(self) -> Rollout | None:
        return rollouts.active("echo", "production")

    def lead(self, how: Any, **given: Any) -> None:
        """Let a person move it, where that is possible at all."""
        row = self.active()
        if row is not None:
            try:
                how(row.pk, reason="", now=self.moment, **given)
            except (Conflict, Refused):
                before = rollouts.get(row.pk)
                assert (before.moves, before.state) == (row.moves, row.state)

    @rule(release=st.integers(1, 3), supersede=st.booleans(), who=PEOPLE)
    def deploy(self, release: int, supersede: bool, who: Any) -> None:
        before = self.active()
        try:
            made = rolling.deploy(release, now=self.moment, actor=who, supersede=supersede)
        except Conflict:
            now = self.active()
            assert (before and before.moves) == (now and now.moves)  # superseding is taken back too
        else:
            assert before is None or supersede
            self.reached[made.pk] = made.weight

    @rule(who=PEOPLE, fully=st.booleans())
    def promote(self, who: Any, fully: bool) -> None:
        before = self.active()
        self.lead(rollouts.promote, actor=who, fully=fully)
        if before is not None and self.protected and str(who) == before.started_by:
            after = rollouts.get(before.pk)
            assert after.moves == before.moves

    @rule(who=PEOPLE)
    def pause(self, who: Any) -> None:
        self.lead(rollouts.pause, actor=who)

    @rule(who=PEOPLE)
    def resume(self, who: Any) -> None:
        self.lead(rollouts.resume, actor=who)

    @rule(who=PEOPLE)
    def abort(self, who: Any) -> None:
        row = self.active()
        self.lead(rollouts.abort, actor=who)
        assert row is None or rollouts.get(row.pk).state == "aborted"

    @rule()
    def read(self) -> None:
        """A clock reads, and is then slow."""
        self.stale = self.active()

    @rule(verdict=VERDICTS, seconds=st.integers(0, 200))
    def tick(self, verdict: Verdict, seconds: int) -> None:
        self.moment += timedelta(seconds=seconds)
        self.seen = Seen(judged=Judged(verdict, ()))
        tending.tick(self.moment)

    @precondition(lambda self: self.stale is not None)
    @rule(verdict=VERDICTS)
    def late(self, verdict: Verdict) -> None:
        """The slow clock writes what it has decided."""
        assert self.stale is not None
        before, moves = rollouts.get(self.stale.pk), self.stale.moves
        self.seen = Seen(judged=Judged(verdict, ()))
        moved = tending.advance(self.stale, now=self.moment)
        assert not moved or before.moves == moves
        self.stale = None

    @rule(statement=st.integers(0, 12), verdict=VERDICTS)
    def crash(self, statement: int, verdict: Verdict) -> None:
        """A clock dies in the middle of it."""
        row = self.active()
        self.seen = Seen(judged=Judged(verdict, ()))
        if row is not None:
            moves = row.moves  # the row itself is read anew in the middle of what is taken back
            try:
                with dying_at(statement):
                    tending.advance(row, now=self.moment)
            except Died:
                assert rollouts.get(row.pk).moves == moves

    @invariant()
    def never_two(self) -> None:
        assert Rollout.objects.filter(state__in=ROLLOUT_ACTIVE).count() <= 1

    @invariant()
    def weights_are_the_plans_and_rise(self) -> None:
        for row in Rollout.objects.all():
            if row.state in ROLLOUT_ACTIVE:
                reached = [each["weight"] for each in STEPS[: row.step + 1] if "weight" in each]
                assert row.weight == (reached[-1] if reached else 0.0)
                assert row.weight >= self.reached.get(row.pk, 0.0)
                self.reached[row.pk] = row.weight
            else:
                assert row.weight == (100.0 if row.state == "succeeded" else 0.0)

    @invariant()
    def what_has_ended_stays_as_it_is(self) -> None:
        for row in Rollout.objects.exclude(state__in=ROLLOUT_ACTIVE):
            now = (row.state, row.step, row.moves, row.ended_at, row.due_at)
            assert self.ended.setdefault(row.pk, now) == now
            assert row.state in states.ROLLOUT

    @invariant()
    def every_change_of_state_is_audited_once(self) -> None:
        for row in Rollout.objects.all():
            entries = AuditEntry.objects.filter(object_kind="rollout", object_id=str(row.pk)).order_by("id")
            told = [(entry.data["move"], entry.data["state"], entry.data["weight"]) for entry in entries]
            assert len({move for move, _, _ in told}) == len(told)
            assert told[-1][1:] == (row.state, row.weight)

    @invariant()
    def the_deployment_is_that_of_the_last_success(self) -> None:
        last = Rollout.objects.filter(state="succeeded").order_by("ended_at", "pk").last()
        if last is not None:
            assert (
                Deployment.objects.get(workflow="echo", environment="production").stable_id
                == last.to_release_id
            )


@pytest.mark.timeout(300)
def test_the_machine_keeps_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    rolling.releases(3)
    machines: list[Rolling] = []

    class Watched(Rolling):
        def __init__(self) -> None:
            super().__init__()
            machines.append(self)

    def look(row: Rollout, plan: Any) -> Seen:
        analysis = plan.steps[row.step].kind == "analysis"
        return machines[-1].seen if analysis else Seen()

    monkeypatch.setattr(tending, "look", look)
    run_state_machine_as_test(
        Watched,
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
