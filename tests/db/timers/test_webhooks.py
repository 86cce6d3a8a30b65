"""Webhooks: told in the transaction of what happened, signed, tried again over a day, never twice at once."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from providers import credentials
from tests import engine
from tests.documentation import ROOT, Page
from tests.engine import OPERATOR
from tests.threads import DatabaseThread
from tests.witness import Behaviour, Call, Witness
from workflows import announcing, definitions, runs
from workflows.errors import Conflict, UnknownObject
from workflows.models import AuditEntry, Delivery, DeliveryAttempt, Event, Webhook
from workflows.spec.documents import SourceText
from workflows.webhooks import delivering, outbox, sending

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOW = datetime(2030, 1, 1, tzinfo=UTC)  # after anything that the database's clock says
[GUIDE] = [block.text for block in Page(ROOT / "docs" / "integrators.md").blocks() if block.info == "python"]
ECHO = """
kind: Workflow
name: echo
input: {type: object}
steps: [{id: note, set: {a: "{{ input.a }}"}}]
output: {secret: "{{ steps.note.output.a }}"}
"""


@pytest.fixture
def witness(settings: Settings) -> Iterator[Witness]:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    credentials.store("hook", value=SECRET)
    with Witness() as server:
        yield server
    credentials.forget_all()


def hook(url: str, *, name: str = "ops", events: str = "run.*", key: str = "secret:hook") -> None:
    engine.apply(f"kind: Webhook\nname: {name}\nurl: {url}\nsecret: {key}\nevents: ['{events}']\n")


def deliver(*, now: datetime = NOW) -> int:
    """Send what is due, in this thread."""
    taken = outbox.take(now=now, limit=100)
    for parcel in taken:
        outbox.settle(parcel, delivering._sent(parcel), now=now, spread=0.5)
    return len(taken)


def verified(call: Call) -> dict[str, Any]:
    """Check a message with the function of docs/integrators.md; return it."""
    found: dict[str, Any] = {}
    exec(GUIDE, found)  # noqa: S102  our own page
    assert found["verify"](call.headers, call.body.encode(), SECRET)
    assert not found["verify"](call.headers, call.body.encode() + b" ", SECRET)
    assert not found["verify"](call.headers, call.body.encode(), SECRET, tolerance_s=-1)
    message: dict[str, Any] = call.json
    return message


def test_the_end_of_a_run_is_told_signed_and_without_its_data(witness: Witness) -> None:
    hook(witness.url("/hook"))
    engine.deploy(ECHO)
    made = engine.run("echo", a="very private")
    assert deliver() == 1
    [call] = witness.calls
    message = verified(call)
    assert (message["type"], message["data"]["run"]["id"]) == ("run.succeeded", made.pk)
    assert message["data"]["run"]["workflow"] == "echo"
    assert message["timestamp"].endswith("Z")
    assert "very private" not in call.body
    assert call.headers["content-type"] == "application/json"
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.status, delivery.attempts_made) == ("delivered", 200, 1)
    assert deliver() == 0


def test_failed_and_cancelled_runs_are_told_too(witness: Witness) -> None:
    hook(witness.url("/hook"))
    engine.deploy(ECHO)
    failed = engine.run("echo")
    cancelled = engine.start("echo", a=1)
    runs.cancel(cancelled.pk, actor=OPERATOR)
    deliver()
    told = {verified(call)["type"]: verified(call)["data"]["run"] for call in witness.calls}
    assert told["run.failed"]["id"] == failed.pk
    assert told["run.failed"]["error"]["class"] == "expression"
    assert told["run.cancelled"]["id"] == cancelled.pk


@pytest.mark.parametrize(
    ("pattern", "event", "hears"),
    [
        ("run.failed", "run.failed", True),
        ("run.failed", "run.succeeded", False),
        ("run.*", "run.succeeded", True),
        ("rollout.*", "rollout.paused", True),
        ("run.*", "running.late", False),
        ("*", "approval.requested", True),
    ],
)
def test_a_webhook_hears_what_its_patterns_name(
    witness: Witness, pattern: str, event: str, hears: bool
) -> None:
    hook(witness.url("/hook"), events=pattern)
    announcing.announce(event, "x", {"a": 1})
    assert Delivery.objects.exists() is hears
    assert Event.objects.exists() is hears


def test_nothing_is_written_where_nobody_listens() -> None:
    engine.deploy(ECHO)
    engine.run("echo", a=1)
    assert not Event.objects.exists()


def test_an_event_is_told_only_if_its_cause_is_committed(witness: Witness) -> None:
    hook(witness.url("/hook"), events="*")

    def cause() -> None:
        with transaction.atomic():
            announcing.announce("alert.fired", "x", {})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        cause()
    assert not Event.objects.exists()


def test_the_products_own_runs_are_nobodys_business(witness: Witness) -> None:
    hook(witness.url("/hook"), events="*")
    engine.save("Workflow", "name: interlock-own\nsteps: []")
    with connection.cursor() as cursor:
        cursor.execute("SELECT interlock_announce('run.failed', 'r_nobody', NULL)")
    assert not Event.objects.exists()


def test_a_failure_is_tried_again_with_the_same_message_until_it_arrives(witness: Witness) -> None:
    witness.behave("/hook", Behaviour(status=500, body="no <b>"), Behaviour(fault="reset"), Behaviour())
    hook(witness.url("/hook"), events="*")
    announcing.announce("alert.fired", "x", {"a": 1})
    Delivery.objects.update(gives_up_at=NOW + timedelta(days=1))
    now = NOW
    for wait_s in (0, 5, 30):
        now += timedelta(seconds=wait_s)
        assert deliver(now=now - timedelta(milliseconds=1)) == 0 if wait_s else True
        assert deliver(now=now) == 1
    messages = {(call.body, call.headers["webhook-id"]) for call in witness.calls}
    assert len(witness.calls) == 3
    assert len(messages) == 1
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts_made) == ("delivered", 3)
    first, second, third = DeliveryAttempt.objects.order_by("number")
    assert (first.status, first.excerpt) == (500, "no <b>")
    assert "The connection failed" in second.error
    assert third.status == 200
    assert Webhook.objects.get().failing_since is None


def test_after_a_day_of_failures_it_is_given_up_and_can_be_sent_again(witness: Witness) -> None:
    witness.behave("/hook", *[Behaviour(status=503)] * 11, Behaviour())
    hook(witness.url("/hook"), events="*")
    announcing.announce("alert.fired", "x", {})
    Delivery.objects.update(gives_up_at=NOW + timedelta(days=1))
    now = NOW
    while deliver(now=now):
        delivery = Delivery.objects.get()
        if delivery.next_at is None:
            break
        now = delivery.next_at
    assert (delivery.state, delivery.attempts_made) == ("failed", 11)
    assert now - NOW < timedelta(days=1)
    assert Webhook.objects.get().failing_since == NOW
    outbox.redeliver("ops", delivery.pk, actor=OPERATOR, now=now)
    assert deliver(now=now) == 1
    assert Delivery.objects.get().state == "delivered"
    assert AuditEntry.objects.get(action="webhook.redeliver").data["delivery"] == delivery.pk


def test_everything_that_was_given_up_is_sent_again_at_once(witness: Witness) -> None:
    hook(witness.url("/hook"), events="*")
    for number in range(3):
        announcing.announce("alert.fired", str(number), {})
    Delivery.objects.update(state="failed", next_at=None, ended_at=NOW)
    assert outbox.redeliver_failed("ops", actor=OPERATOR, now=NOW) == 3
    assert deliver() == 3


def test_an_endpoint_that_is_gone_switches_its_webhook_off(witness: Witness) -> None:
    witness.behave("/hook", Behaviour(status=410))
    hook(witness.url("/hook"), events="*")
    announcing.announce("alert.fired", "x", {})
    deliver()
    gone = outbox.get("ops")
    assert gone.disabled_at == NOW
    assert "410" in gone.disabled_why
    announcing.announce("alert.fired", "y", {})
    assert Delivery.objects.count() == 1
    with pytest.raises(Conflict, match="switch it on first"):
        outbox.send_test("ops", actor=OPERATOR, now=NOW)
    outbox.switch("ops", on=True, actor=OPERATOR, reason="moved", now=NOW)
    announcing.announce("alert.fired", "z", {})
    assert deliver() == 1


def test_a_webhook_that_is_switched_off_sends_nothing_that_waits(witness: Witness) -> None:
    hook(witness.url("/hook"), events="*")
    announcing.announce("alert.fired", "x", {})
    outbox.switch("ops", on=False, actor=OPERATOR, reason="noise", now=NOW)
    assert deliver() == 0
    assert Delivery.objects.get().error == outbox.SWITCHED_OFF
    with pytest.raises(Conflict, match="switched off already"):
        outbox.switch("ops", on=False, actor=OPERATOR, reason="", now=NOW)
    hook(witness.url("/elsewhere"), events="*")
    assert outbox.get("ops").disabled_at is None


def test_two_takers_never_hold_one_delivery_and_a_lost_one_is_taken_again(witness: Witness) -> None:
    hook(witness.url("/hook"), events="*")
    for number in range(5):
        announcing.announce("alert.fired", str(number), {})
    taken: list[outbox.Parcel] = []
    gate = threading.Barrier(3)

    def take() -> None:
        gate.wait(10)
        taken.extend(outbox.take(now=NOW, limit=10))

    threads = [DatabaseThread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({parcel.delivery for parcel in taken}) == len(taken) >= outbox.EACH
    later = NOW + outbox.LEASE
    again = outbox.take(now=later, limit=10)
    assert again
    lost = next(parcel for parcel in taken if parcel.delivery == again[0].delivery)
    assert not outbox.settle(lost, sending.Answer(status=200), now=later, spread=0.5)
    assert outbox.settle(again[0], sending.Answer(status=200), now=later, spread=0.5)


def test_an_endpoint_that_hangs_leaves_the_others_their_place(witness: Witness) -> None:
    for name in ("a-flood", "b-quiet"):
        hook(witness.url(f"/{name}"), name=name, events=f"{'alert' if name == 'a-flood' else 'rollout'}.*")
    for number in range(50):
        announcing.announce("alert.fired", str(number), {})
    announcing.announce("rollout.paused", "x", {})
    taken = outbox.take(now=NOW, limit=4)
    assert sorted({parcel.webhook for parcel in taken}) == ["a-flood", "b-quiet"]
    assert len(taken) == outbox.EACH + 1
    assert outbox.take(now=NOW, limit=10) == ()


@pytest.mark.parametrize(
    ("url", "allow", "says"),
    [
        ("http://127.0.0.1:9/x", [], "is not public"),
        ("http://169.254.169.254/latest", ["10.0.0.0/8"], "is not public"),
        ("http://127.0.0.1:9/x", ["127.0.0.1"], "The connection failed"),
    ],
)
def test_addresses_are_guarded_as_those_of_tools(url: str, allow: list[str], says: str) -> None:
    answer = sending.send(url, b"{}", (), allow=allow, timeout_s=3)
    assert (answer.status, says in answer.error) == (None, True), answer


def test_redirects_are_not_followed_and_long_answers_cut(witness: Witness) -> None:
    witness.behave("/r", Behaviour(status=302, headers={"Location": witness.url("/other")}))
    witness.behave("/long", Behaviour(status=400, body="x" * 1_000_000))
    witness.behave("/slow", Behaviour(delay_s=5))
    assert (
        "redirects are not followed" in sending.send(witness.url("/r"), b"{}", (), allow=["127.0.0.1"]).error
    )
    assert len(sending.send(witness.url("/long"), b"{}", (), allow=["127.0.0.1"]).excerpt) == 1000
    slow = sending.send(witness.url("/slow"), b"{}", (), allow=["127.0.0.1"], timeout_s=0.3)
    assert slow.error == "No answer within 0.3 s."
    assert all(call.path != "/other" for call in witness.calls)


@pytest.mark.parametrize(
    ("secret", "says"),
    [("secret:nope", "There is no credential secret:nope"), ("secret:short", "secret:short cannot sign")],
)
def test_a_secret_that_cannot_sign_is_told_and_never_shown(witness: Witness, secret: str, says: str) -> None:
    credentials.store("short", value="hunter2hunter2")
    hook(witness.url("/hook"), events="*", key=secret)
    announcing.announce("alert.fired", "x", {})
    deliver()
    delivery = Delivery.objects.get()
    assert says in delivery.error
    assert "hunter2" not in delivery.error
    assert not witness.calls


def test_the_engines_clock_delivers_without_waiting(witness: Witness) -> None:
    witness.behave("/hook", Behaviour(delay_s=0.1))
    hook(witness.url("/hook"), events="*")
    for _ in range(9):
        outbox.send_test("ops", actor=OPERATOR, now=datetime.now(UTC) - timedelta(seconds=1))
    delivering.tend()
    assert Delivery.objects.filter(state="pending").exists()
    for thread in threading.enumerate():
        if thread.name == "webhook":
            thread.join(20)
    assert not Delivery.objects.exclude(state="delivered").exists()
    assert len(witness.calls) == 9
    assert verified(witness.calls[0])["data"]["webhook"] == {"name": "ops", "sent_by": "olga"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"url": "ftp://x/"}, "an address that starts with http:// or https://"),
        ({"url": "http://user:pw@x/"}, "may not hold a user or password"),
        ({"secret": "hunter2"}, "env:NAME (an environment variable) or secret:NAME"),
        ({"events": "['run.fialed']"}, "there is no event 'run.fialed'; did you mean 'failed'?"),
        ({"events": "['ruin.*']"}, "there are no events 'ruin'"),
        ({"events": "[]"}, "events"),
        ({"events": "[run.*, run.*]"}, "is there twice"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_told_at_its_place(change: dict[str, str], says: str) -> None:
    body = {"url": "https://example.com/", "secret": "secret:hook", "events": "['*']", **change}
    text = "\n".join(["kind: Webhook", "name: ops", *(f"{key}: {value}" for key, value in body.items())])
    applied = definitions.apply([SourceText("w.yaml", text)], actor=OPERATOR)
    assert any(says in str(error) for error in applied.errors), applied.errors
    assert not Webhook.objects.exists()


def test_old_deliveries_are_forgotten_with_their_events(witness: Witness) -> None:
    hook(witness.url("/hook"), events="*")
    announcing.announce("alert.fired", "x", {})
    deliver()
    assert outbox.forget(NOW + timedelta(days=29)) == 0
    assert outbox.forget(NOW + timedelta(days=31)) > 0
    assert not Event.objects.exists()
    with pytest.raises(UnknownObject, match="no delivery 1"):
        outbox.delivery("ops", 1)
