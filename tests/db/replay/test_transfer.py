"""A run as one file: it replays where nothing else of it is known, without what was redacted; a bad file is refused."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.db import connection

from tests import replaying
from tests.db.engine.test_agents import TWO_PAGES, agent
from tests.db.quarantine.test_quarantine import looks
from tests.db.replay.test_verify import MOODS, OTHERS
from tests.engine import OPERATOR, deploy, drain, output, run, start
from tests.threads import DatabaseThreads
from workflows import payloads, quarantine, recovery
from workflows.engine import bundle
from workflows.errors import Conflict, Invalid
from workflows.models import AuditEntry, Call, Definition, Environment, Run, StepRun
from workflows.pieces import Piece
from workflows.quarantine import Ask
from workflows.queries import lineage
from workflows.replay import forking, packing, unpacking, verify

ASK = """
name: ask
input: {type: object, required: [customer, of]}
steps:
  - {id: mail, set: {to: "{{ input.customer.email }}", text: "{{ {'for': input.customer.email} | tojson }}"}}
output: "Sent to {{ steps.mail.output.to }}"
"""


def elsewhere(packed: Any) -> Run:
    """Take a run in on another machine."""
    text = json.dumps(packed)
    forget()
    return unpacking.unpack(json.loads(text), actor=OPERATOR)


def forget() -> None:
    """Forget everything that this installation knows, as if it were another machine."""
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE workflows_run, workflows_definition, workflows_release, workflows_payload, "
            "workflows_steprun, workflows_attempt, workflows_journalevent, workflows_call, workflows_lineage CASCADE"
        )
    payloads._cache.items.clear()
    bundle.load.cache_clear()
    bundle.forget_providers()


def test_a_run_with_children_agents_and_retries_replays_on_another_machine() -> None:
    whole = run(agent(TWO_PAGES), q="where?")
    packed = packing.pack(whole.pk)
    count = StepRun.objects.count()
    there = elsewhere(packed)
    assert not Definition.objects.exists()
    assert (there.pk, there.environment_id, there.state) == (whole.pk, "imported", "succeeded")
    found = verify.replay(there.pk)
    assert (found.verdict, len(found.children)) == ("identical", 3)
    assert StepRun.objects.count() == count
    assert not replaying.differences(Run.objects.all())
    assert Call.objects.filter(run=there).count() == 3
    assert output(there) == {"text": "found"}


def test_what_a_run_from_elsewhere_used_is_nothing_of_ours() -> None:
    whole = run(agent(TWO_PAGES), q="where?")
    packed = packing.pack(whole.pk)
    there = elsewhere(packed)
    ours = run(agent(TWO_PAGES), q="where?")
    names = set(there.lineage.exclude(kind="run").values_list("kind", "ref"))
    assert {("prompt", "imported:researcher@1"), ("tool", "imported:find@1")} <= names
    assert [each.run.pk for each in lineage.page(Piece(kind="prompt", name="researcher@1")).rows] == [ours.pk]
    found = quarantine.impose(Ask(kind="prompt", ref="researcher@1", reason="wrong"), actor=OPERATOR)
    assert set(found.taints.values_list("run", flat=True)) == {ours.pk}
    again = packing.pack(there.pk)
    assert [each["lineage"] for each in again["runs"]] == [each["lineage"] for each in packed["runs"]]


def test_documents_are_packed_by_name_and_revision() -> None:
    searched = run(looks())
    used = {(kind, ref) for each in packing.pack(searched.pk)["runs"] for _, _, kind, ref in each["lineage"]}
    assert ("document", "handbook/leave1.md@1") in used


def test_a_map_and_a_retried_run_too() -> None:
    name = deploy(MOODS.replace("on_error: continue", "note: x"), others=OTHERS)
    broken = run(name, texts=["good day", "rain"])
    assert broken.state == "failed"
    recovery.retry(broken.pk, actor=OPERATOR, from_step="each[0]/mood")
    drain()
    there = elsewhere(packing.pack(broken.pk))
    assert verify.replay(there.pk).verdict == "identical"
    assert not replaying.differences([there])


def test_each_attempt_says_there_what_it_failed_with() -> None:
    broken = run(
        deploy(MOODS.replace("on_error: continue", "note: x"), others=OTHERS), texts=["good day", "rain"]
    )
    recovery.retry(broken.pk, actor=OPERATOR, from_step="each[0]/mood")
    drain()
    here = attempts(broken)
    assert any(error for *_, error in here)
    assert attempts(elsewhere(packing.pack(broken.pk))) == here


def attempts(of: Run) -> list[tuple[Any, ...]]:
    rows = of.attempts.order_by("step_run__path", "step_run__epoch", "number")
    return list(rows.values_list("step_run__path", "step_run__epoch", "number", "state", "worker", "error"))


def test_a_fork_is_taken_in_without_the_run_that_it_came_from() -> None:
    done = run(deploy(MOODS, others=OTHERS), texts=["good day"])
    made = forking.fork(done.pk, forking.Ask(from_step="each[0]/kept"), actor=OPERATOR)
    drain()
    there = elsewhere(packing.pack(made.pk))
    assert there.forked_from is None
    assert verify.replay(there.pk).verdict == "identical"


def test_what_is_redacted_is_nowhere_and_the_run_still_replays() -> None:
    secret = 'ann"q"@example.com'
    done = run(deploy(ASK), customer={"email": secret, "name": "Ann"}, of="x")
    packed = packing.pack(done.pk, redact=["customer.email"])
    assert "example.com" not in json.dumps(packed)
    there = elsewhere(packed)
    assert output(there) == "Sent to [redacted 1]"
    assert verify.replay(there.pk).verdict == "identical"


@pytest.mark.parametrize("path", ["customer", "nobody", "customer.email.x", "of"])
def test_only_texts_that_can_be_told_from_others_are_redacted(path: str) -> None:
    done = run(deploy(ASK), customer={"email": "ann@example.com"}, of="x")
    with pytest.raises(Invalid):
        packing.pack(done.pk, redact=[path])


def test_a_file_that_is_damaged_or_newer_or_older_or_known_is_refused_and_nothing_is_changed() -> None:
    done = run(deploy(ASK), customer={"email": "ann@example.com"}, of="x")
    packed = packing.pack(done.pk)
    with pytest.raises(Conflict, match="is here already"):
        unpacking.unpack(packed, actor=OPERATOR)
    bad = {**packed, "values": {**packed["values"], next(iter(packed["values"])): "other"}}
    again = {key: bad[key] for key in ("runs", "releases", "values")}
    forged = {**bad, "digest": payloads.digest(again).hex()}
    for file, says in (
        ({}, "no file of a packed run"),
        ([], "no file of a packed run"),
        ({**packed, "version": 2}, "a newer one"),
        ({**packed, "version": 0}, "Export the run anew"),
        ({**packed, "version": "1"}, "does not say its version"),
        ({**packed, "version": True}, "does not say its version"),
        ({**packed, "runs": []}, "damaged"),
        (bad, "damaged"),
    ):
        with pytest.raises(Invalid, match=says):
            unpacking.unpack(file, actor=OPERATOR)
    Run.objects.filter(pk=done.pk).update(id="r_moved")
    with pytest.raises(Invalid, match="damaged"):
        unpacking.unpack(forged, actor=OPERATOR)
    empty = {"runs": [{"run": {"id": "r_x"}}], "releases": packed["releases"], "values": packed["values"]}
    with pytest.raises(Invalid, match="cannot be taken in"):
        unpacking.unpack({**packed, **empty, "digest": payloads.digest(empty).hex()}, actor=OPERATOR)
    assert not Environment.objects.filter(pk="imported").exists()
    assert not AuditEntry.objects.filter(action="run.import").exists()


def test_of_two_people_who_take_in_one_file_at_once_one_hears_that_the_run_is_here() -> None:
    packed = packing.pack(run(deploy(ASK), customer={"email": "ann@example.com"}, of="x").pk)
    forget()
    both = threading.Barrier(2)

    def take_in() -> str:
        both.wait()
        try:
            return unpacking.unpack(packed, actor=OPERATOR).pk
        except Conflict as refused:
            return refused.code

    with DatabaseThreads(2) as threads:
        done = {each.result() for each in [threads.submit(take_in) for _ in range(2)]}
    there = Run.objects.get()
    assert done == {there.pk, "run_exists"}
    assert verify.replay(there.pk).verdict == "identical"
    assert AuditEntry.objects.filter(action="run.import").count() == 1


def test_only_what_has_ended_is_packed() -> None:
    going = start(deploy("name: w\nsteps: [{id: a, wait: {signal: s}}]"))
    with pytest.raises(Conflict, match="once it has ended"):
        packing.pack(going.pk)
