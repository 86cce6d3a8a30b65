"""Lost workers, late results, unknown effects: what the database does with attempts that do not end well."""

import uuid

import pytest
from pytest_django import Settings

from tests.engine import check_journal, claim, deploy, drain, expire, output, start, states
from tests.threads import DatabaseThread
from tests.witness import Behaviour, Witness
from tests.workers import until
from workflows import database
from workflows.engine import changes, commit, execute, heartbeat, lifecycle
from workflows.engine.commit import Claim, Committed
from workflows.engine.leases import Active, Process
from workflows.engine.outcomes import Outcome, StepError, Succeeded, Unknown
from workflows.engine.port import Spent
from workflows.engine.views import Known
from workflows.models import Attempt, StepRun

TWO = """
name: two
steps:
  - {id: a, set: {v: 1}}
  - {id: b, set: {v: "{{ steps.a.output.v + 1 }}"}}
output: "{{ steps.b.output.v }}"
"""
PAY = """
name: pay
steps:
  - {id: pay, tool: pay}
output: "{{ steps.pay.output }}"
"""
TOOL = """
name: pay
http: {{method: POST, url: "{url}"}}
effect: {effect}
timeout: 5s
"""


def finish(held: Claim, outcome: Outcome, *, follow: bool = True) -> Committed:
    """Commit an outcome for a claim, as its worker would; without `follow` it dies right after."""
    trying = execute.begin(Active(held, until=0.0), Known())
    change = changes.of(trying, outcome, Spent())
    done = commit.apply(held, change, worker="test", lease_s=30, go_on=False, next_lease=uuid.uuid4())
    if done.applied and follow:
        execute.follow(held, done)
    return done


def test_a_lost_step_is_ready_again_and_the_run_ends_right() -> None:
    run = start(deploy(TWO))
    claim()
    expire()
    drain()
    assert output(run) == 2
    assert list(
        Attempt.objects.filter(step_run__path="a").order_by("number").values_list("state", flat=True)
    ) == [
        "lost",
        "succeeded",
    ]
    check_journal(run)


def test_a_loss_does_not_use_up_the_retry_policy() -> None:
    run = start(deploy(TWO))
    claim()
    expire()
    step = StepRun.objects.get(run=run, path="a")
    assert (step.losses, step.failures) == (1, 0)


def test_a_late_result_is_recorded_and_never_applied() -> None:
    run = start(deploy(TWO))
    held = claim()
    expire()
    drain()
    late = finish(held, Succeeded(output={"v": 41}))
    assert not late.applied
    assert output(run) == 2
    assert run.journal.filter(type="attempt.late").count() == 1
    check_journal(run)


@pytest.mark.tampers
def test_only_one_of_two_workers_with_the_same_step_counts() -> None:
    run = start(deploy(TWO))
    frozen = claim()
    expire()
    other = claim()
    assert finish(other, Succeeded(output={"v": 1})).applied
    assert not finish(frozen, Succeeded(output={"v": 99})).applied
    drain()
    assert output(run) == 2


def test_a_lost_step_whose_effect_may_have_left_is_unknown_and_blocks_the_run() -> None:
    run = start(deploy(TWO))
    held = claim()
    assert commit.sending(held, {"key": "k"})
    expire()
    run.refresh_from_db()
    assert states(run)["a"] == "unknown"
    assert run.state == "waiting"
    assert drain() == 0


@pytest.mark.tampers
def test_a_late_result_settles_the_unknown_effect_of_its_own_attempt() -> None:
    run = start(deploy(TWO))
    held = claim()
    commit.sending(held, {"key": "k"})
    expire()
    assert finish(held, Succeeded(output={"v": 1})).applied
    drain()
    assert output(run) == 2
    check_journal(run)


@pytest.mark.parametrize(("effect", "calls"), [("idempotent", 2), ("once", 1)])
def test_a_reply_that_comes_after_the_lease_settles_what_is_unknown(
    effect: str, calls: int, settings: Settings
) -> None:
    """The heartbeat hears that the lease is gone while the call is out. A `once` call is waited for all the same."""
    settings.TOOL_ALLOW = ["127.0.0.1"]
    with Witness() as witness:
        witness.behave("/pay", Behaviour(delay_s=1))
        run = start(deploy(PAY, tools=TOOL.format(url=witness.url("/pay"), effect=effect)))
        here = Process()
        thread = DatabaseThread(target=execute.work, args=[here])
        thread.start()
        until(lambda: len(witness.calls) == 1)
        expire()
        heartbeat.beat(here)
        thread.join()
    assert output(run) == {"ok": True}
    assert len(witness.calls) == calls
    check_journal(run)


def test_nothing_may_be_sent_without_the_lease() -> None:
    start(deploy(TWO))
    held = claim()
    expire()
    assert not commit.sending(held, {"key": "k"})


def test_nothing_may_be_sent_after_the_lease_ran_out_even_if_nobody_noticed() -> None:
    start(deploy(TWO))
    held = claim()
    database.fetch_all(
        "UPDATE workflows_steprun SET lease_until = clock_timestamp() - interval '1 ms' "
        "WHERE id = $1 RETURNING id",
        [held.step],
    )
    assert not commit.sending(held, {"key": "k"})


def test_a_step_lost_twice_runs_alone_and_a_loss_while_alone_condemns_it() -> None:
    run = start(deploy(TWO))
    for _ in range(2):
        claim()
        expire()
    assert StepRun.objects.get(run=run, path="a").alone
    assert commit.claim(worker="busy", lease_s=30, idle=False) is None
    assert claim().alone
    expire()
    drain()
    run.refresh_from_db()
    assert run.state == "failed"
    assert (run.error or {})["class"] == "poison"
    check_journal(run)


def test_a_step_that_survives_alone_goes_on_as_usual() -> None:
    run = start(deploy(TWO))
    for _ in range(2):
        claim()
        expire()
    drain()
    assert output(run) == 2


def test_nothing_expires_right_after_the_database_came_back() -> None:
    start(deploy(TWO))
    held = claim()
    database.fetch_all(
        "UPDATE workflows_steprun SET lease_until = clock_timestamp() - interval '1 s' "
        "WHERE id = $1 RETURNING id",
        [held.step],
    )
    assert database.call("interlock_expire", 100, 1e9) == []
    assert finish(held, Succeeded(output={"v": 1})).applied


def test_a_worker_that_shuts_down_hands_its_steps_back_at_once() -> None:
    run = start(deploy(TWO))
    here = Process()
    held = commit.claim(worker=here.id, lease_s=30, idle=True)
    assert held is not None
    with here.running(held, limit_s=60):
        lifecycle.hand_back(here)
    assert states(run)["a"] == "ready"
    assert Attempt.objects.get(step_run__path="a").state == "interrupted"
    assert StepRun.objects.get(run=run, path="a").losses == 0
    drain()
    assert output(run) == 2


def test_an_ambiguous_commit_is_resolved_by_reading_it_again() -> None:
    run = start(deploy(TWO))
    held = claim()
    trying = execute.begin(Active(held, until=0.0), Known())
    change = changes.of(trying, Succeeded(output={"v": 1}), Spent())
    lease = uuid.uuid4()
    done = commit.apply(held, change, worker="w", lease_s=30, go_on=True, next_lease=lease)
    assert commit.was_applied(held)
    assert commit.held(lease) == done.next
    assert states(run)["b"] == "running"


def test_an_unknown_outcome_told_by_the_worker_waits_for_a_person() -> None:
    run = start(deploy(TWO))
    problem = StepError(error_class="timeout", message="no reply")
    assert finish(claim(), Unknown(error=problem)).applied
    run.refresh_from_db()
    assert (run.state, states(run)["a"]) == ("waiting", "unknown")
    check_journal(run)
