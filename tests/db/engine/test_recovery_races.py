"""Two people at one run at once, and one whose process dies in the middle: what is recorded is one whole decision."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from tests.db.engine.test_absorbed import act, waits_for_a_lock
from tests.db.engine.test_leases import finish
from tests.engine import OPERATOR, check_journal, claim, deploy, drain, output, run, start, states
from tests.threads import DatabaseThread, DatabaseThreads
from tests.workers import until
from workflows import recovery, runs
from workflows.engine import clock
from workflows.errors import Conflict
from workflows.models import AuditEntry, Run
from workflows.queries import attention
from workflows.recovery import resolving

BROKEN = """
name: broken
steps:
  - {id: a, set: {v: 1}}
  - {id: bad, set: {v: "{{ 1 // 0 }}"}}
  - {id: b, set: {v: "{{ steps.bad.output.v if steps.bad.output else 0 }}"}}
output: "{{ steps.b.output.v }}"
"""
SUPPLIED = {"v": 7}


def at_once(*asked: Callable[[], object]) -> list[str]:
    """Do each in a thread of its own, all begun together; return what became of them: `done`, or a conflict's code."""
    together = threading.Barrier(len(asked))

    def one(ask: Callable[[], object]) -> str:
        together.wait()
        try:
            ask()
        except Conflict as conflict:
            return conflict.code
        return "done"

    with DatabaseThreads(len(asked)) as threads:
        return sorted(threads.map(one, asked))


def retry(broken: Run, **asked: Any) -> Callable[[], object]:
    return lambda: recovery.retry(broken.pk, actor=OPERATOR, reason="again", **asked)


def resolve(broken: Run, action: Any) -> Callable[[], object]:
    return lambda: recovery.resolve(
        broken.pk, "bad", action=action, output=SUPPLIED, actor=OPERATOR, reason="looked it up"
    )


@pytest.mark.parametrize("from_step", [None, "a"])
def test_of_two_people_who_retry_a_run_at_once_one_leads_it_on(from_step: str | None) -> None:
    broken = run(deploy(BROKEN))
    asked = [retry(broken), retry(broken, from_step=from_step), retry(broken)]
    assert at_once(*asked) == ["done", "run_not_failed", "run_not_failed"]
    drain()
    broken.refresh_from_db()
    assert broken.state == "failed"
    assert broken.journal.filter(type="run.retried").count() == 1
    assert AuditEntry.objects.filter(action="run.retry").count() == 1
    check_journal(broken)


@pytest.mark.parametrize("action", ["supply", "skip", "retry"])
def test_of_one_who_retries_and_one_who_resolves_one_counts(action: str) -> None:
    broken = run(deploy(BROKEN))
    done = at_once(retry(broken), resolve(broken, action))
    assert done.count("done") == 1, done
    drain()
    broken.refresh_from_db()
    assert broken.state in ("succeeded", "failed")
    assert broken.journal.filter(type="run.retried").count() == 1
    check_journal(broken)


def test_of_two_people_who_settle_an_unknown_step_at_once_one_is_heard() -> None:
    broken = run(deploy(BROKEN))
    held(broken)
    assert at_once(resolve(broken, "supply"), resolve(broken, "supply")) == ["done", "step_not_unknown"]
    drain()
    assert output(broken) == 7
    assert AuditEntry.objects.filter(action="step.resolve").count() == 1
    check_journal(broken)


def test_a_run_that_is_retried_and_cancelled_at_once_is_one_of_the_two() -> None:
    broken = run(deploy(BROKEN))
    assert "done" in at_once(retry(broken), lambda: runs.cancel(broken.pk, actor=OPERATOR))
    drain()
    broken.refresh_from_db()
    assert broken.state in ("failed", "cancelled")
    assert not broken.steps.exclude(state__in=["succeeded", "failed", "cancelled"]).exists()
    check_journal(broken)


class Died(BaseException):
    """The process is gone: nobody catches it."""


def held(broken: Run) -> None:
    """A person supplies a failed step, and the process dies once the run is led on, before the step is settled."""

    def dies(*_: object) -> bool:
        raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolving, "_settle", dies)
        with pytest.raises(Died):
            resolve(broken, "supply")()


@pytest.mark.parametrize(
    ("action", "ends", "result"),
    [
        ("supply", "succeeded", 7),
        ("skip", "succeeded", 0),
        ("retry", "failed", None),
        ("fail", "failed", None),
    ],
)
def test_a_step_that_was_led_on_and_not_settled_is_told_and_can_be_settled(
    action: str, ends: str, result: Any
) -> None:
    broken = run(deploy(BROKEN))
    held(broken)
    assert states(broken)["bad"] == "unknown"
    now = timezone.now()
    told = attention.troubles(since=now - timedelta(hours=1), now=now)
    assert [each.ref for each in told if each.kind == "unknown"] == [broken.pk]
    for sweep in (clock.wake, clock.expire, clock.close_unclosed, clock.ring_again):
        sweep()
    assert drain() == 0
    with pytest.raises(Conflict, match="only failed or cancelled runs can be retried"):
        retry(broken)()
    resolve(broken, action)()
    drain()
    broken.refresh_from_db()
    assert (broken.state, output(broken)) == (ends, result)
    check_journal(broken)


def paused() -> tuple[Run, Callable[[], object]]:
    """Return a paused run with a step of unknown outcome, and what leads it on."""
    broken = run(deploy(BROKEN))
    held(broken)
    runs.pause(broken.pk, actor=OPERATOR)
    return broken, lambda: runs.resume(broken.pk, actor=OPERATOR)


def without_a_place() -> tuple[Run, Callable[[], object]]:
    """Return a run with a step of unknown outcome that waits for its place, and what gives it that."""
    name = deploy(BROKEN.replace("steps:", 'concurrency: {key: "k", limit: 1}\nsteps:'))
    broken = run(name)
    other = start(name)
    held(broken)
    broken.refresh_from_db()
    assert not broken.admitted
    return broken, lambda: runs.cancel(other.pk, actor=OPERATOR)


@pytest.mark.parametrize("kept", [paused, without_a_place])
@pytest.mark.parametrize("first", ["the step", "the run"])
def test_a_step_that_is_reopened_in_the_moment_in_which_its_run_is_led_on_begins(
    kept: Callable[[], tuple[Run, Callable[[], object]]], first: str
) -> None:
    broken, lead_on = kept()
    one, other = resolve(broken, "retry"), lead_on
    if first == "the run":
        one, other = other, one
    waiting = DatabaseThread(target=other)
    with transaction.atomic():
        one()
        waiting.start()
        until(lambda: waits_for_a_lock() == 1)
    waiting.join()
    assert states(broken)["bad"] == "ready"
    drain()
    broken.refresh_from_db()
    assert broken.state == "failed"
    assert broken.journal.filter(type="step.failed", step="bad").count() == 2
    check_journal(broken)


def test_a_step_that_was_led_on_and_not_settled_can_be_cancelled_with_its_run() -> None:
    broken = run(deploy(BROKEN))
    held(broken)
    runs.cancel(broken.pk, actor=OPERATOR)
    broken.refresh_from_db()
    assert broken.state == "cancelled"
    check_journal(broken)


def test_a_run_that_was_cancelled_while_its_last_step_ended_is_led_on_to_its_end() -> None:
    last = start(deploy("name: single\nsteps: [{id: a, set: {v: 1}}]\noutput: 7"))
    held_step = claim()
    runs.cancel(last.pk, actor=OPERATOR)
    assert finish(held_step, act(held_step)).applied
    last.refresh_from_db()
    assert (last.state, states(last)) == ("cancelled", {"a": "succeeded"})
    retry(last)()
    assert output(last) == 7
    assert last.state == "succeeded"
    check_journal(last)
