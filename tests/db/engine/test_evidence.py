"""What is known of a step that a person has to settle, and what is on record once it is settled."""

from __future__ import annotations

from typing import Any

import pytest

from tests.db.engine.test_leases import finish
from tests.db.retention.past import forget_cached
from tests.engine import OPERATOR, check_journal, claim, deploy, drain, expire, start
from tests.example_unsettled import PAY, UNKNOWN, lost_payment
from workflows import payloads, recovery
from workflows.engine import commit
from workflows.engine.outcomes import Succeeded
from workflows.errors import UnknownObject
from workflows.models import AuditEntry, Payload, StepRun
from workflows.recovery import evidence
from workflows.replay import verify

SENT = {"order": "A-17", "amount": 4200, "currency": "EUR"}
COMPUTING = """
name: computing
input: {type: object}
steps: [{id: a, set: {v: 1}}]
output: "{{ steps.a.output.v }}"
"""


def test_what_a_lost_worker_sent_can_be_looked_up() -> None:
    found = evidence.of(lost_payment().pk, "paid")
    assert (found.tool, found.target) == ("pay", "POST https://pay.example.com/charges")
    assert (found.arguments, found.sent_key) == (SENT, f"{UNKNOWN}-paid-1")
    assert found.sent_at is not None
    assert found.expected["required"] == ["payment"]


def test_a_settled_step_has_its_input_and_its_lineage_on_record() -> None:
    paying = lost_payment()
    given = {"payment": "p-9"}
    recovery.resolve(paying.pk, "paid", action="supply", output=given, actor=OPERATOR, reason="their list")
    drain()
    paying.refresh_from_db()
    step = StepRun.objects.get(run=paying, path="paid")
    assert (paying.state, payloads.load_one(step.output_hash)) == ("succeeded", given)
    assert payloads.load_one(step.input_hash)["arguments"] == SENT
    assert ("tool", "pay@1") in paying.lineage.values_list("kind", "ref")
    assert verify.replay(paying.pk).verdict == "identical"
    check_journal(paying)


def test_a_payment_that_failed_for_good_is_on_record_too() -> None:
    paying = lost_payment()
    recovery.resolve(paying.pk, "paid", action="fail", actor=OPERATOR, reason="their list")
    drain()
    step = StepRun.objects.get(run=paying, path="paid")
    assert (step.state, payloads.load_one(step.input_hash)["arguments"]) == ("failed", SENT)
    assert verify.replay(paying.pk).verdict == "identical"


def test_a_step_that_computes_has_neither_a_tool_nor_a_schema() -> None:
    computing = start(deploy(COMPUTING))
    drain()
    found = evidence.of(computing.pk, "a")
    assert (found.tool, found.target, found.arguments, found.sent_key) == ("", "", None, "")
    assert (found.sent_at, found.expected) == (None, None)


def test_a_step_that_is_not_there_is_told() -> None:
    computing = start(deploy(COMPUTING))
    with pytest.raises(UnknownObject, match="has no step gone"):
        evidence.of(computing.pk, "gone")


def test_of_a_step_that_never_began_nothing_was_sent() -> None:
    found = evidence.of(start(deploy(COMPUTING)).pk, "a")
    assert (found.step.state, found.arguments, found.sent_at) == ("ready", None, None)


CHAINED = """
name: chained
input: {type: object}
steps:
  - {id: a, set: {order: "A-17"}}
  - {id: paid, needs: [a], tool: pay, with: {order: "{{ steps.a.output.order }}"}}
output: "{{ steps.paid.output.payment }}"
"""


@pytest.mark.parametrize(
    ("action", "ends"), [("supply", "succeeded"), ("fail", "failed"), ("skip", "succeeded")]
)
@pytest.mark.tampers
def test_a_step_is_settled_although_what_it_was_made_of_is_gone(action: Any, ends: str) -> None:
    paying = start(deploy(CHAINED, tools=PAY))
    finish(claim(), Succeeded(output={"order": "A-17"}))
    assert commit.sending(claim(), {"key": "k"})
    expire()
    made = StepRun.objects.get(run=paying, path="a")
    Payload.objects.filter(hash=made.output_hash).delete()
    forget_cached()
    found = evidence.of(paying.pk, "paid")
    assert (found.arguments, found.expected["required"]) == (None, ["payment"])
    given = {"payment": "p-9"} if action == "supply" else None
    recovery.resolve(paying.pk, "paid", action=action, output=given, actor=OPERATOR, reason="their list")
    drain()
    paying.refresh_from_db()
    assert paying.state == ends
    assert AuditEntry.objects.filter(action="step.resolve", object_id=paying.pk).count() == 1
