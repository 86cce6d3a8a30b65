"""What people said of steps that were left to them, as the pages of a run tell it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.db.engine.test_control import unknown_run
from tests.engine import OPERATOR, deploy, drain, run
from workflows import recovery
from workflows.models import Attempt, AuditEntry, JournalEvent
from workflows.queries import settlements
from workflows.queries.step_rows import steps_of

BROKEN = "name: broken\nsteps: [{id: a, set: {v: '{{ 1 / 0 }}'}}, {id: b, set: {v: 2}}]"


@pytest.mark.parametrize("action", ["supply", "skip", "fail"])
def test_an_answer_is_told_and_its_attempt_ends_when_it_was_left_open(action: Any) -> None:
    waiting = unknown_run()
    given = {"v": 5} if action == "supply" else None
    recovery.resolve(waiting.pk, "a", action=action, output=given, actor=OPERATOR, reason="looked it up")
    drain()
    found = settlements.of_run(waiting.pk)
    [told] = found["a"]
    entry = AuditEntry.objects.get(action="step.resolve")
    assert (told.action, told.by, told.reason, told.entry) == (
        action,
        str(OPERATOR),
        "looked it up",
        entry.pk,
    )
    lost = JournalEvent.objects.get(run=waiting, type="attempt.lost")
    recorded = Attempt.objects.get(run=waiting, step_run__path="a")
    step = next(each for each in settlements.apart(steps_of(waiting.pk), found) if each.path == "a")
    [attempt] = step.attempts
    assert (attempt.ended_at, attempt.state) == (lost.at, "lost")
    assert recorded.ended_at is not None
    assert recorded.ended_at > lost.at  # the engine's record says when the answer came


def test_a_step_that_failed_and_was_supplied_failed_when_it_did() -> None:
    broken = run(deploy(BROKEN))
    recovery.resolve(broken.pk, "a", action="supply", output={"v": 1}, actor=OPERATOR, reason="by hand")
    drain()
    found = settlements.of_run(broken.pk)
    failed = JournalEvent.objects.filter(run=broken, type="step.failed").earliest("seq")
    [told] = found["a"]
    assert (told.open_since, told.ended) == (failed.at, "failed")
    step = next(each for each in settlements.apart(steps_of(broken.pk), found) if each.path == "a")
    assert step.state == "succeeded"
    assert step.attempts[-1].state == "failed"


def test_letting_it_run_again_leaves_the_attempts_as_they_were() -> None:
    waiting = unknown_run()
    recovery.resolve(waiting.pk, "a", action="retry", actor=OPERATOR, reason="it never arrived")
    drain()
    found = settlements.of_run(waiting.pk)
    assert [each.action for each in found["a"]] == ["retry"]
    assert settlements.apart(steps_of(waiting.pk), found) == steps_of(waiting.pk)


def test_a_run_that_nobody_was_asked_about_has_none() -> None:
    plain = run(deploy("name: plain\nsteps: [{id: a, set: {v: 1}}]"))
    assert settlements.of_run(plain.pk) == {}
