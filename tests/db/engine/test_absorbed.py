"""A failure that a container absorbed, or a time-out, while attempts inside of it are still out: nothing follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from django.db import transaction
from pytest_django import Settings

from tests.db.engine.test_leases import TOOL, finish
from tests.engine import OPERATOR, check_journal, claim, deploy, drain, expire, output, start, states
from tests.threads import DatabaseThread, DatabaseThreads
from tests.witness import Behaviour, Witness
from tests.workers import until
from workflows import approvals, database, recovery, runs
from workflows.engine import again, attempt, clock, commit, execute
from workflows.engine.commit import Claim
from workflows.engine.leases import Active
from workflows.engine.outcomes import Outcome
from workflows.engine.views import Known
from workflows.models import Run, StepRun
from workflows.replay import verify

Json = Any
LITTLE = "{kind: Workflow, name: little, steps: [{id: only, set: {v: 1}}]}"
INSIDE: Json = {n: [{"id": f"{n}1", "set": {"v": 1}}, {"id": f"{n}2", "set": {"v": 2}}] for n in "abc"}
# What the others do, whose attempts are out when their neighbour fails. Each would lead on to something.
OTHERS: dict[str, Json] = {
    "branches": {"branch": [{"else": None, "steps": INSIDE["a"]}]},
    "maps": {"map": {"over": "[1, 2]", "steps": INSIDE["b"]}},
    "loops": {"loop": {"until": "false", "max_turns": 2, "steps": INSIDE["c"]}},
    "asks": {"approval": {"title": "May we?"}},
    "naps": {"wait": {"for": "1h"}},
    "hears": {"wait": {"signal": "go"}},
    "starts": {"workflow": "little", "with": {}},
    "tries": {"tool": "broken", "with": {}, "retry": {"attempts": 3, "first": "1h", "max": "1h"}},
}
SIMPLE: dict[str, Json] = {"other": {"set": {"v": 1}}}
OUTER = "{name: outer, steps: [{id: call, workflow: w}], output: '{{ steps.call.output }}'}"
BROKEN = "{name: broken, effect: read, python: 'tests.nothing:nothing'}"
AROUND = ["branch", "map", "item", "loop", "nested"]


def around(kind: str, others: dict[str, Json]) -> Json:
    """Return a container that absorbs a failure, around a step that fails and others beside it."""
    steps = [{"id": "bad", "needs": [], "set": {"v": "{{ 1 // 0 }}"}}]
    steps += [{"id": name, "needs": [], **other} for name, other in others.items()]
    steps += [{"id": "later", "needs": [*others], "set": {"v": 3}}]
    absorbs = {"id": "c", "on_error": "continue"}
    inner = {"id": "d", "branch": [{"else": None, "steps": steps}]}
    containers: dict[str, Json] = {
        "branch": {**absorbs, "branch": [{"else": None, "steps": steps}]},
        "map": {**absorbs, "map": {"over": "[1]", "steps": steps}},
        "item": {"id": "c", "map": {"over": "[1]", "on_item_error": "continue", "steps": steps}},
        "loop": {**absorbs, "loop": {"until": "true", "steps": steps}},
        "nested": {**absorbs, "branch": [{"else": None, "steps": [inner]}]},
        "none": inner,
    }
    return containers[kind]


def begun(
    kind: str, others: dict[str, Json], *, tools: str = BROKEN, called: bool = False
) -> tuple[Run, Claim, list[Claim]]:
    """Start a run and go on until all steps inside are held: the bad one, and the others.

    `called`: it is the child run of another, which is returned.
    """
    after = {"id": "after", "set": {"n": 1}}
    workflow = {"name": "w", "steps": [around(kind, others), after], "output": "{{ steps.after.output.n }}"}
    name = deploy(yaml.safe_dump(workflow), tools=tools, others=LITTLE)
    run = start(deploy(OUTER) if called else name)
    held: dict[str, Claim] = {}
    while len(held) < 1 + len(others):
        each = claim()
        if each.step_id == "bad" or each.step_id in others:
            held[each.step_id] = each
        else:
            finish(each, act(each))
    return run, held.pop("bad"), list(held.values())


def act(held: Claim) -> Outcome:
    return attempt.perform(execute.begin(Active(held, until=0.0), Known()))


def ends_as_if_nothing_were_inside(run: Run) -> None:
    """The container settles with what was absorbed; nothing more has begun in it, and nobody is asked anything."""
    begun_before = set(run.steps.filter(started_at__isnull=False).values_list("path", flat=True))
    drain()
    run.refresh_from_db()
    assert (run.state, output(run)) == ("succeeded", 1), states(run)
    begun_now = set(run.steps.filter(started_at__isnull=False).values_list("path", flat=True))
    assert begun_now - begun_before == {"after"}
    assert not run.steps.exclude(state__in=["succeeded", "failed", "cancelled"]).exists()
    assert not approvals.open_ones().exists()
    assert not Run.objects.filter(parent=run).exists()
    check_journal(run)


@pytest.mark.parametrize("kind", AROUND)
def test_what_was_out_when_its_neighbour_failed_leads_to_nothing(kind: str) -> None:
    run, bad, held = begun(kind, OTHERS)
    came = [(each, act(each)) for each in held]
    assert finish(bad, act(bad)).applied
    for each, outcome in came:
        assert states(run)["c"] == "waiting"
        assert finish(each, outcome).applied
        assert states(run)[each.path] == "cancelled"
    ends_as_if_nothing_were_inside(run)


@pytest.mark.parametrize("kind", AROUND)
def test_a_retry_of_a_run_cancelled_before_its_container_settled_knows_of_the_failure(kind: str) -> None:
    run, bad, [other] = begun(kind, SIMPLE)
    came = act(other)
    finish(bad, act(bad))
    runs.cancel(run.pk, actor=OPERATOR)
    finish(other, came)
    run.refresh_from_db()
    assert run.state == "cancelled"
    recovery.retry(run.pk, actor=OPERATOR, reason="it was cancelled by mistake")
    ends_as_if_nothing_were_inside(run)
    assert states(run)["c"] == ("succeeded" if kind == "item" else "failed")
    assert verify.replay(run.pk).verdict == "identical"


@pytest.mark.parametrize("kind", AROUND)
def test_a_child_run_that_is_led_on_with_its_parent_knows_of_the_failure(kind: str) -> None:
    parent, bad, [other] = begun(kind, SIMPLE, called=True)
    child = parent.children.get()
    came = act(other)
    finish(bad, act(bad))
    runs.cancel(parent.pk, actor=OPERATOR)
    finish(other, came)
    for run in (parent, child):
        run.refresh_from_db()
        assert run.state == "cancelled"
    recovery.retry(parent.pk, actor=OPERATOR, reason="it was cancelled by mistake")
    assert states(parent) == {"call": "waiting"}
    ends_as_if_nothing_were_inside(child)
    assert states(child)["c"] == ("succeeded" if kind == "item" else "failed")
    parent.refresh_from_db()
    assert (parent.state, output(parent), parent.children.count()) == ("succeeded", 1, 1)
    assert verify.replay(child.pk).verdict == "identical"


@pytest.mark.parametrize("kind", AROUND)
def test_a_record_of_a_version_that_forgot_the_failure_replays_as_it_went_then(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(*given: Any, **more: Any) -> list[again.Reopened]:
        return [replace(each, failing=False) for each in reopen(*given, **more)]

    reopen = again.reopen
    run, bad, [other] = begun(kind, SIMPLE)
    came = act(other)
    finish(bad, act(bad))
    runs.cancel(run.pk, actor=OPERATOR)
    finish(other, came)
    with monkeypatch.context() as patch:
        patch.setattr(again, "reopen", forgetful)
        recovery.retry(run.pk, actor=OPERATOR, reason="it was cancelled by mistake")
    ends_as_if_nothing_were_inside(run)
    assert states(run)["c"] == "succeeded"
    assert not run.journal.filter(type="step.reopened", data__has_key="failing").exists()
    found = verify.replay(run.pk)
    assert (found.verdict, found.checked > 3) == ("identical", True)


def test_in_a_run_that_stops_neither() -> None:
    run, bad, held = begun("none", OTHERS)
    came = [(each, act(each)) for each in held]
    finish(bad, act(bad))
    for each, outcome in came:
        finish(each, outcome)
    run.refresh_from_db()
    assert run.state == "failed"
    assert {path: state for path, state in states(run).items() if state != "cancelled"} == {"d/bad": "failed"}
    assert not approvals.open_ones().exists()
    assert not Run.objects.filter(parent=run).exists()
    check_journal(run)


def test_a_step_that_was_to_be_tried_again_keeps_what_was_wrong() -> None:
    run, bad, (held,) = begun("branch", {"tries": OTHERS["tries"]})
    came = act(held)
    finish(bad, act(bad))
    finish(held, came)
    step = StepRun.objects.get(run=run, path="c/tries")
    assert (step.state, step.error) == ("cancelled", step.attempts.get().error)
    assert step.error is not None
    ends_as_if_nothing_were_inside(run)


@pytest.mark.parametrize("kind", AROUND)
def test_what_commits_in_the_very_moment_of_the_failure_is_cancelled_with_all_that_it_led_to(
    kind: str,
) -> None:
    run, bad, held = begun(kind, OTHERS)
    came, fails = [(each, act(each)) for each in held], act(bad)
    failing = DatabaseThread(target=finish, args=[bad, fails])
    with transaction.atomic():
        for each, outcome in came:
            finish(each, outcome, follow=False)
        failing.start()
        until(lambda: waits_for_a_lock() == 1)
    failing.join()
    assert "running" not in states(run).values()
    assert Run.objects.get(parent=run).state == "cancelled"
    Run.objects.filter(parent=run).delete()
    ends_as_if_nothing_were_inside(run)


def test_steps_that_fail_together_do_not_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_AGAIN", ())  # a deadlock is not tried again, but raised
    monkeypatch.setattr(commit, "HOLD_S", -1.0)
    run, bad, (worse,) = begun("branch", {"worse": {"set": {"v": "{{ 1 // 0 }}"}}})
    failing = [(each, act(each)) for each in (bad, worse)]
    with DatabaseThreads(2) as threads:
        with transaction.atomic():
            StepRun.objects.select_for_update().get(run=run, path="c")
            done = [threads.submit(finish, *each) for each in failing]
            until(lambda: waits_for_a_lock() == 2)
        assert all(each.result().applied for each in done)
    ends_as_if_nothing_were_inside(run)


def waits_for_a_lock() -> int:
    rows = database.fetch_all("SELECT count(*) FROM pg_locks WHERE NOT granted", [])
    return int(rows[0][0])


@pytest.mark.parametrize("kind", AROUND)
def test_a_container_waits_for_what_is_still_out_below_it(kind: str) -> None:
    """Whatever the clock finds meanwhile: an effect of what is out may not come after the container's end."""
    run, bad, (held,) = begun(kind, SIMPLE)
    finish(bad, act(bad))
    drain()
    clock.close_unclosed()
    drain()
    assert states(run)["c"] == "waiting"
    finish(held, act(held))
    assert states(run)[held.path] == "succeeded"
    ends_as_if_nothing_were_inside(run)


@pytest.mark.parametrize("kind", AROUND)
def test_what_is_lost_there_does_not_come_back(kind: str) -> None:
    run, bad, (held,) = begun(kind, SIMPLE)
    finish(bad, act(bad))
    expire()
    assert states(run)[held.path] == "cancelled"
    ends_as_if_nothing_were_inside(run)


@pytest.mark.parametrize("kind", AROUND)
def test_a_worker_that_dies_after_the_last_commit_is_made_up_for(kind: str) -> None:
    run, bad, (held,) = begun(kind, SIMPLE)
    finish(bad, act(bad))
    finish(held, act(held), follow=False)
    clock.close_unclosed()
    ends_as_if_nothing_were_inside(run)


@pytest.mark.parametrize("kind", ["item", "nested"])
@pytest.mark.parametrize("action", ["supply", "skip", "retry", "fail"])
def test_an_unknown_effect_in_there_is_waited_for_and_settled(
    kind: str, action: Any, settings: Settings
) -> None:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    with Witness() as witness:
        witness.behave("/pay", Behaviour(fault="drop"), Behaviour())
        tool = TOOL.format(url=witness.url("/pay"), effect="once")
        run, bad, (held,) = begun(kind, {"other": {"tool": "pay", "with": {}}}, tools=tool)
        came = act(held)
        finish(bad, act(bad))
        finish(held, came)
        drain()
        clock.close_unclosed()
        drain()
        run.refresh_from_db()
        assert (run.state, states(run)[held.path], states(run)["c"]) == ("waiting", "unknown", "waiting")
        recovery.resolve(run.pk, held.path, action=action, actor=OPERATOR, reason="seen", output={"ok": True})
        drain()
        assert output(run) == 1
        assert len(witness.calls) == (2 if action == "retry" else 1)
    assert states(run)["c" if kind != "item" else held.path.replace("other", "bad")] == "failed"
    assert states(run)[held.path.replace("other", "later")] == "cancelled"
    check_journal(run)
