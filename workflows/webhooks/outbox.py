"""The outbox: which deliveries are due, what came of each, sent again by hand, switched off and on.

Raw SQL for taking what is due. Each change is guarded by the delivery's lease or state. Permission was checked
above. May not: send anything; `delivering` does.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F, QuerySet

from workflows import audit, database
from workflows.actor import Actor
from workflows.errors import Conflict, UnknownObject
from workflows.models import Delivery, DeliveryAttempt, Event, Webhook
from workflows.models.webhooks import DELIVERED, FAILED, PENDING
from workflows.payloads import clean_text
from workflows.tools import urls
from workflows.tools.errors import ToolError
from workflows.webhooks import retries
from workflows.webhooks.sending import GONE, TIMEOUT_S, Answer

# Of one webhook at once: an endpoint that hangs leaves the others their place.
EACH: Final = 3
LEASE: Final = timedelta(seconds=TIMEOUT_S + 15)
KEPT: Final = timedelta(days=30)
TEST: Final = "webhook.test"
SWITCHED_OFF: Final = "The webhook was switched off."

_TAKE: Final = """
UPDATE workflows_delivery AS d SET lease = gen_random_uuid(), lease_until = $1::timestamptz + $2::interval
FROM (
    SELECT due.id FROM workflows_webhook AS w
    CROSS JOIN LATERAL (
        SELECT id, next_at FROM workflows_delivery
        WHERE webhook = w.name AND state = 'pending' AND next_at <= $1
          AND (lease_until IS NULL OR lease_until <= $1)
        ORDER BY next_at, id
        LIMIT greatest(0, $4 - (
            SELECT count(*) FROM workflows_delivery
            WHERE webhook = w.name AND state = 'pending' AND lease IS NOT NULL AND lease_until > $1))
        FOR UPDATE SKIP LOCKED) AS due
    WHERE w.disabled_at IS NULL
    ORDER BY due.next_at LIMIT $3) AS chosen, workflows_webhook AS hook, workflows_event AS event
WHERE d.id = chosen.id AND hook.name = d.webhook AND event.id = d.event_id
RETURNING d.id, d.lease, hook.name, hook.url, hook.secret, event.id, event.type, event.at, event.data
"""


@dataclass(frozen=True)
class Parcel:
    """A delivery that was taken, with all that is needed to send it. `secret` is a reference."""

    delivery: int
    lease: uuid.UUID
    webhook: str
    url: str
    secret: str
    event: str
    type: str
    at: datetime
    data: Any

    def body(self) -> bytes:
        """Return the message, the same bytes at every try."""
        data = json.loads(self.data) if isinstance(self.data, str) else self.data
        message = {"type": self.type, "timestamp": moment(self.at), "data": data}
        return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def moment(at: datetime) -> str:
    """Write a time as RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def take(*, now: datetime, limit: int) -> tuple[Parcel, ...]:
    """Take deliveries that are due, each under a lease, so that nobody else sends them meanwhile."""
    rows = database.fetch_all(_TAKE, [now, LEASE, limit, EACH])
    return tuple(Parcel(*row) for row in rows)


def settle(parcel: Parcel, answer: Answer, *, now: datetime, spread: float) -> bool:
    """Write down what came of a try; False if the lease was lost, so that somebody else does."""
    with transaction.atomic():
        held = Delivery.objects.select_for_update().filter(
            pk=parcel.delivery, lease=parcel.lease, state=PENDING
        )
        delivery = held.first()
        if delivery is None:
            return False
        delivery.attempts_made += 1
        delivery.lease = delivery.lease_until = None
        delivery.status, delivery.error = answer.status, answer.error
        _decide(delivery, answer, now=now, spread=spread)
        delivery.save()
        DeliveryAttempt.objects.create(
            delivery=delivery,
            number=delivery.attempts_made,
            at=now,
            status=answer.status,
            error=answer.error,
            excerpt=answer.excerpt,
            took_ms=answer.took_ms,
        )
        _tell_webhook(delivery.webhook, answer, now=now)
    return True


def _decide(delivery: Delivery, answer: Answer, *, now: datetime, spread: float) -> None:
    if answer.ok:
        delivery.state, delivery.next_at, delivery.ended_at = DELIVERED, None, now
        return
    tried = delivery.attempts_made - delivery.attempts_before
    again = retries.next_try(
        tried,
        now=now,
        gives_up_at=delivery.gives_up_at,
        spread=spread,
        retry_after_s=answer.retry_after_s,
    )
    if again is None or answer.status == GONE:
        delivery.state, delivery.next_at, delivery.ended_at = FAILED, None, now
    else:
        delivery.next_at = again


def _tell_webhook(name: str, answer: Answer, *, now: datetime) -> None:
    hook = Webhook.objects.filter(pk=name)
    if answer.ok:
        hook.exclude(failing_since=None).update(failing_since=None)
        return
    hook.filter(failing_since=None).update(failing_since=now)
    if answer.status == GONE:
        _switch_off(name, by="system:interlock", why=answer.error, now=now)


def _switch_off(name: str, *, by: str, why: str, now: datetime) -> bool:
    moved = Webhook.objects.filter(pk=name, disabled_at=None).update(
        disabled_at=now, disabled_by=by, disabled_why=why
    )
    Delivery.objects.filter(webhook=name, state=PENDING).update(
        state=FAILED, next_at=None, ended_at=now, lease=None, lease_until=None, error=SWITCHED_OFF
    )
    return bool(moved)


def ensure(name: str, body: Mapping[str, Any]) -> str | None:
    """Let a webhook go by a new version of its document; returns what is wrong with its address.

    A new address switches on again what an old one had switched off.
    """
    try:
        urls.parse(body["url"])
    except ToolError as error:
        return error.message
    values = {"url": body["url"], "secret": body["secret"], "events": list(body["events"])}
    hook, is_new = Webhook.objects.select_for_update().get_or_create(name=name, defaults=values)
    if not is_new:
        if hook.url != body["url"]:
            hook.disabled_at, hook.disabled_by, hook.disabled_why = None, "", ""
            hook.failing_since = None
        hook.url, hook.secret, hook.events = body["url"], body["secret"], list(body["events"])
        hook.save()
    return None


def get(name: str) -> Webhook:
    """Return a webhook. Raises: UnknownObject."""
    found = Webhook.objects.filter(pk=name).first() if "\0" not in name else None
    if found is None:
        raise UnknownObject(f"There is no webhook {clean_text(name, limit=80)}.", code="unknown_webhook")
    return found


def switch(name: str, *, on: bool, actor: Actor, reason: str, now: datetime) -> Webhook:
    """Switch a webhook off, so that it hears of nothing until it is switched on again.

    Raises: UnknownObject; Conflict where it is so already.
    """
    get(name)
    why = clean_text(reason, limit=1000)
    with transaction.atomic():
        if on:
            off = Webhook.objects.filter(pk=name, disabled_at__isnull=False)
            moved = bool(off.update(disabled_at=None, disabled_by="", disabled_why="", failing_since=None))
        else:
            moved = _switch_off(name, by=str(actor), why=why, now=now)
        if not moved:
            raise Conflict(
                f"Webhook {name} is switched {'on' if on else 'off'} already.", code="webhook_switched"
            )
        audit.record(actor, f"webhook.switch_{'on' if on else 'off'}", "Webhook", name, reason=why)
    return get(name)


def send_test(name: str, *, actor: Actor, now: datetime) -> Delivery:
    """Send an event of the type `webhook.test`, whatever the webhook listens to.

    Raises: UnknownObject; Conflict where it is switched off.
    """
    _check_on(get(name))
    with transaction.atomic():
        event = Event.objects.create(
            id=f"evt_{uuid.uuid4().hex}",
            type=TEST,
            subject=name,
            at=now,
            data={"webhook": {"name": name, "sent_by": str(actor)}},
        )
        delivery = Delivery.objects.create(
            webhook=name, event=event, next_at=now, gives_up_at=now + retries.GIVES_UP_AFTER
        )
        audit.record(actor, "webhook.test", "Webhook", name, data={"event": event.pk})
    return delivery


def delivery(name: str, delivery_id: int) -> Delivery:
    """Return one delivery of a webhook. Raises: UnknownObject."""
    get(name)
    found = Delivery.objects.select_related("event").filter(webhook=name, pk=delivery_id).first()
    if found is None:
        raise UnknownObject(f"Webhook {name} has no delivery {delivery_id}.", code="unknown_delivery")
    return found


def redeliver(name: str, delivery_id: int, *, actor: Actor, reason: str = "", now: datetime) -> Delivery:
    """Send a delivery again now, under the same `webhook-id`, with another day of tries.

    Raises: UnknownObject; Conflict where the webhook is switched off.
    """
    _check_on(get(name))
    with transaction.atomic():
        found = delivery(name, delivery_id)
        _again(Delivery.objects.filter(pk=found.pk), now=now)
        told = {"delivery": found.pk, "event": found.event_id}
        audit.record(
            actor, "webhook.redeliver", "Webhook", name, reason=clean_text(reason, limit=1000), data=told
        )
    return delivery(name, delivery_id)


def redeliver_failed(name: str, *, actor: Actor, reason: str = "", now: datetime) -> int:
    """Send everything again that was given up on; return how many deliveries that are.

    Raises: UnknownObject; Conflict where the webhook is switched off.
    """
    _check_on(get(name))
    with transaction.atomic():
        count = _again(Delivery.objects.filter(webhook=name, state=FAILED), now=now)
        audit.record(
            actor,
            "webhook.redeliver",
            "Webhook",
            name,
            reason=clean_text(reason, limit=1000),
            data={"count": count},
        )
    return count


def _again(found: QuerySet[Delivery], *, now: datetime) -> int:
    return found.update(
        state=PENDING,
        next_at=now,
        ended_at=None,
        lease=None,
        lease_until=None,
        gives_up_at=now + retries.GIVES_UP_AFTER,
        attempts_before=F("attempts_made"),
    )


def _check_on(hook: Webhook) -> None:
    if hook.disabled_at is not None:
        raise Conflict(
            f"Webhook {hook.name} is switched off; switch it on first.", code="webhook_switched_off"
        )


def forget(now: datetime) -> int:
    """Drop deliveries that were decided 30 days ago, and events that nobody waits for; return how many."""
    old = Delivery.objects.filter(ended_at__lt=now - KEPT).order_by("ended_at")
    removed, _ = Delivery.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:1000])).delete()
    left = Event.objects.filter(at__lt=now - KEPT, deliveries=None).order_by("at")
    Event.objects.filter(pk__in=list(left.values_list("pk", flat=True)[:1000])).delete()
    return removed
