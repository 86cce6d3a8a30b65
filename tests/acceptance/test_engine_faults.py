"""A real worker, a real broker, a real database, and every fault that the design names, one at a time.

Each run ends with the output of a fault-free run; a `once` tool is called at most once, as a witness outside saw.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import redis
from django.db import connection

from tests import connections
from tests.engine import OPERATOR, check_journal, deploy, output, start, states
from tests.servers import Servers
from tests.witness import Behaviour, Witness
from tests.workers import Worker, Workers, until
from workflows import recovery
from workflows.engine import dispatch
from workflows.models import Attempt, Run

# Short leases, so that a lost worker is noticed in seconds.
FAST = {"INTERLOCK_LEASE": "2", "INTERLOCK_HEARTBEAT": "0.4", "INTERLOCK_TOOL_ALLOW": "127.0.0.1"}
PAY = """
name: pay-{effect}
steps:
  - {{id: before, set: {{amount: 7}}}}
  - id: pay
    tool: pay
    with: {{amount: "{{{{ steps.before.output.amount }}}}"}}
  - {{id: after, set: {{paid: "{{{{ steps.pay.output.ok }}}}"}}}}
output: {{paid: "{{{{ steps.after.output.paid }}}}"}}
"""
TOOL = """
name: pay
input: {{type: object, required: [amount], properties: {{amount: {{type: integer}}}}}}
http: {{method: POST, url: "{url}", body: {{amount: "{{{{ amount }}}}"}}}}
effect: {effect}
timeout: {timeout}
"""


@pytest.fixture
def witness() -> Iterator[Witness]:
    with Witness() as running:
        yield running


def paying(witness: Witness, effect: str, *, timeout: str = "5s") -> str:
    return deploy(
        PAY.format(effect=effect), tools=TOOL.format(url=witness.url("/pay"), effect=effect, timeout=timeout)
    )


def in_state(run: Run, *names: str) -> Callable[[], bool]:
    def look() -> bool:
        run.refresh_from_db()
        return run.state in names

    return look


def faulty(worker: Workers, fault: str) -> Worker:
    return worker.start(env={**FAST, "INTERLOCK_FAULTS": fault})


POINTS = ["before_claim", "after_claim@pay", "before_act@pay", "after_commit@before", "after_commit@pay"]


@pytest.mark.parametrize("effect", ["once", "idempotent"])
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_where_nothing_is_in_doubt_costs_nothing(
    worker: Workers, witness: Witness, point: str, effect: str
) -> None:
    doomed = faulty(worker, f"{point}:kill")
    run = start(paying(witness, effect))
    doomed.wait_until_dead()
    worker.start(env=FAST)
    until(in_state(run, "succeeded"))
    assert output(run) == {"paid": True}
    assert len(witness.calls) == 1
    check_journal(run)


def test_a_worker_killed_after_an_idempotent_call_repeats_it_with_the_same_key(
    worker: Workers, witness: Witness
) -> None:
    doomed = faulty(worker, "after_act@pay:kill")
    run = start(paying(witness, "idempotent"))
    doomed.wait_until_dead()
    worker.start(env=FAST)
    until(in_state(run, "succeeded"))
    assert len(witness.calls) == 2
    assert len({call.key for call in witness.calls}) == 1
    assert states(run)["pay"] == "succeeded"
    check_journal(run)


def test_a_worker_killed_after_a_once_call_leaves_it_unknown_for_a_person(
    worker: Workers, witness: Witness
) -> None:
    doomed = faulty(worker, "after_act@pay:kill")
    run = start(paying(witness, "once"))
    doomed.wait_until_dead()
    worker.start(env=FAST)
    until(in_state(run, "waiting"))
    assert states(run)["pay"] == "unknown"
    recovery.resolve(run.pk, "pay", action="supply", output={"ok": True}, actor=OPERATOR, reason="seen there")
    until(in_state(run, "succeeded"))
    assert len(witness.calls) == 1
    check_journal(run)


def test_a_once_call_without_an_answer_is_never_repeated(worker: Workers, witness: Witness) -> None:
    witness.behave("/pay", Behaviour(fault="drop"))
    worker.start(env=FAST)
    run = start(paying(witness, "once"))
    until(in_state(run, "waiting"))
    assert states(run)["pay"] == "unknown"
    time.sleep(3)  # a lease and more
    assert len(witness.calls) == 1


def test_a_worker_killed_while_it_waits_for_a_reply(worker: Workers, witness: Witness) -> None:
    witness.behave("/pay", Behaviour(fault="hang"), Behaviour())
    doomed = worker.start(env=FAST)
    run = start(paying(witness, "idempotent", timeout="30s"))
    until(lambda: len(witness.calls) == 1)
    doomed.kill()
    worker.start(env=FAST)
    until(in_state(run, "succeeded"))
    attempts = Attempt.objects.filter(step_run__run=run, step_run__path="pay").order_by("number")
    assert list(attempts.values_list("state", flat=True)) == ["lost", "succeeded"]
    check_journal(run)


def test_a_frozen_worker_loses_its_lease_and_its_late_result_does_not_count(
    worker: Workers, witness: Witness
) -> None:
    witness.behave("/pay", Behaviour(delay_s=1, body={"ok": False}), Behaviour())
    frozen = worker.start(env=FAST)
    run = start(paying(witness, "idempotent"))
    until(lambda: len(witness.calls) == 1)
    frozen.pause()
    other = worker.start(env=FAST)
    until(in_state(run, "succeeded"))
    other.kill()
    frozen.resume()
    later = start(paying(witness, "idempotent"))  # whatever the frozen one does with its reply, it goes on
    until(in_state(later, "succeeded"))
    assert output(run) == {"paid": True}
    assert states(run)["pay"] == "succeeded"
    check_journal(run)


def test_a_frozen_worker_sends_no_once_call_after_it_wakes(worker: Workers, witness: Witness) -> None:
    """The mark before sending asks the database: a lease that ran out while the worker slept is gone."""
    witness.behave("/pay", Behaviour(fault="drop"))
    first = worker.start(env=FAST)
    run = start(paying(witness, "once"))
    until(in_state(run, "waiting"))
    first.pause()
    time.sleep(3)
    first.resume()
    time.sleep(1)
    assert len(witness.calls) == 1


def test_a_worker_that_is_told_to_stop_hands_its_work_back_at_once(worker: Workers, witness: Witness) -> None:
    witness.behave("/pay", Behaviour(fault="hang"), Behaviour())
    env = {**FAST, "INTERLOCK_DRAIN_GRACE": "0.5", "INTERLOCK_LEASE": "120"}
    old = worker.start(env=env)
    run = start(paying(witness, "idempotent", timeout="60s"))
    until(lambda: len(witness.calls) == 1)
    worker.start(env=env)
    assert old.terminate() == 0
    until(in_state(run, "succeeded"), within_s=10)  # far less than the lease
    attempts = Attempt.objects.filter(step_run__run=run, step_run__path="pay").order_by("number")
    assert list(attempts.values_list("state", flat=True)) == ["interrupted", "succeeded"]


def test_a_worker_that_is_told_to_stop_lets_its_steps_finish(worker: Workers, witness: Witness) -> None:
    witness.behave("/pay", Behaviour(delay_s=1.5))
    old = worker.start(env=FAST)
    run = start(paying(witness, "once"))
    until(lambda: len(witness.calls) == 1)
    assert old.terminate() == 0
    assert states(run)["pay"] == "succeeded"
    worker.start(env=FAST)
    until(in_state(run, "succeeded"))
    assert len(witness.calls) == 1


SIMPLE = """
name: simple
steps:
  - {id: a, set: {v: "{{ input.n }}"}}
  - {id: b, set: {v: "{{ steps.a.output.v + 1 }}"}}
  - {id: c, set: {v: "{{ steps.b.output.v + 1 }}"}}
output: "{{ steps.c.output.v }}"
"""


def all_end(runs: list[Run], *, within_s: float = 60) -> None:
    ids = [run.pk for run in runs]
    until(lambda: not Run.objects.filter(pk__in=ids, ended_at=None).exists(), within_s=within_s)
    assert [output(run) for run in runs] == [n + 2 for n in range(len(runs))]


def test_lost_messages_are_rung_again(worker: Workers, servers: Servers) -> None:
    runs = [start(deploy_once(SIMPLE), n=n) for n in range(10)]
    servers.flush_valkey()
    worker.start(env=FAST)
    all_end(runs)


def deploy_once(text: str) -> str:
    name = text.split("\n")[1].removeprefix("name: ")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM workflows_definition WHERE name = %s", [name])
        known = cursor.fetchone()[0]
    return name if known else deploy(text)


def test_doubled_and_reordered_messages_change_nothing(worker: Workers) -> None:
    runs = [start(deploy_once(SIMPLE), n=n) for n in range(10)]
    steps = [step for run in runs for step in run.steps.values_list("pk", flat=True)]
    for _ in range(3):
        dispatch.ring(list(reversed(steps)))
    worker.start(env=FAST)
    all_end(runs)
    for run in runs:
        assert Attempt.objects.filter(run=run).count() == 3
        check_journal(run)


def test_a_broker_that_dies_during_200_runs_loses_none(worker: Workers, servers: Servers) -> None:
    worker.start(env=FAST)
    runs = [start(deploy_once(SIMPLE), n=n) for n in range(80)]
    servers.kill("valkey")
    runs += [start(deploy_once(SIMPLE), n=n) for n in range(80, 120)]
    servers.start_valkey()
    runs += [start(deploy_once(SIMPLE), n=n) for n in range(120, 200)]
    all_end(runs)


def test_without_a_broker_workers_look_for_themselves(worker: Workers, servers: Servers) -> None:
    """One that was there before the broker went, then one that has never seen it."""
    worker.start(env=FAST)
    servers.kill("valkey")
    all_end([start(deploy_once(SIMPLE), n=n) for n in range(20)])
    worker.stop_all()
    worker.start(env=FAST, wait=False)
    all_end([start(deploy_once(SIMPLE), n=n) for n in range(20)])


def test_a_broker_that_dies_while_every_thread_is_busy_leaves_no_worker_deaf(
    worker: Workers, servers: Servers, witness: Witness
) -> None:
    """Messages that were taken and wait for a thread can be acknowledged to nobody; new ones are heard all the same."""
    witness.behave("/pay", Behaviour(delay_s=4))
    deaf = worker.start(threads=2, env=FAST)
    busy_name = paying(witness, "idempotent", timeout="20s")
    busy = [start(busy_name) for _ in range(2)]
    until(lambda: len(witness.calls) == 2)
    waiting = [start(deploy_once(SIMPLE), n=n) for n in range(4)]
    until(lambda: _taken(servers) == 2)
    servers.kill("valkey")
    until(lambda: all(in_state(run, "succeeded")() for run in busy))
    all_end(waiting)
    until(lambda: deaf.log.count("Couldn't ack") == 2)
    servers.start_valkey()
    all_end([start(deploy_once(SIMPLE), n=n) for n in range(4)])
    until(lambda: dispatch.ring([0]) == 1)
    until(lambda: _left(servers) == 0)  # it hears again, and does not only look for itself


def _taken(servers: Servers) -> int:
    """Return how many messages a worker has taken and not acknowledged."""
    with redis.Redis.from_url(servers.valkey.url()) as client:
        return int(client.hlen("unacked"))


def _left(servers: Servers) -> int:
    """Return how many messages nobody has taken."""
    with redis.Redis.from_url(servers.valkey.url()) as client:
        return int(client.llen("interlock"))


def test_a_database_that_dies_loses_nothing_that_was_accepted(
    worker: Workers, servers: Servers, witness: Witness
) -> None:
    witness.behave("/pay", Behaviour(delay_s=2))
    worker.start(env=FAST)
    name = paying(witness, "once")
    run = start(name)
    until(lambda: len(witness.calls) == 1)
    connection.close()
    servers.kill("postgres")
    time.sleep(1)
    servers.start_postgres()
    connections.drop()
    until(in_state(run, "succeeded", "waiting"), within_s=60)
    assert output(run) == {"paid": True}
    assert len(witness.calls) == 1
    check_journal(run)
