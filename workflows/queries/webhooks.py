"""Webhooks and their deliveries as their pages show them. May not change anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Count, QuerySet

from workflows.models import Delivery, DeliveryAttempt, Webhook
from workflows.models.webhooks import FAILED, PENDING
from workflows.webhooks import outbox

PAGE: Final = 50
MOST: Final = 500


@dataclass(frozen=True, kw_only=True)
class WebhookRow:
    """One webhook, its newest delivery, and how many wait or were given up."""

    webhook: Webhook
    last: Delivery | None
    pending: int
    failed: int

    @property
    def state(self) -> str:
        """`off`, `failing`, `working`, or `listening` where nothing was delivered yet."""
        if self.webhook.disabled_at is not None:
            return "off"
        if self.webhook.failing_since is not None:
            return "failing"
        return "working" if self.last else "listening"


_ORDER: Final = ("failing", "working", "listening", "off")


def listed() -> tuple[WebhookRow, ...]:
    """Return the webhooks, those that fail first."""
    rows = _rows(list(Webhook.objects.order_by("name")[:MOST]))
    return tuple(sorted(rows, key=lambda row: (_ORDER.index(row.state), row.webhook.name)))


def one(name: str) -> WebhookRow:
    """Return one webhook. Raises: UnknownObject."""
    return _rows([outbox.get(name)])[0]


def _rows(hooks: list[Webhook]) -> tuple[WebhookRow, ...]:
    names = [hook.name for hook in hooks]
    newest = Delivery.objects.filter(webhook__in=names).order_by("webhook", "-id").distinct("webhook")
    last = {each.webhook: each for each in newest}
    undone = Delivery.objects.filter(webhook__in=names, state__in=[PENDING, FAILED])
    counted = undone.values_list("webhook", "state").annotate(number=Count("pk")).order_by()
    counts = {(webhook, state): number for webhook, state, number in counted}
    return tuple(
        WebhookRow(
            webhook=hook,
            last=last.get(hook.name),
            pending=counts.get((hook.name, PENDING), 0),
            failed=counts.get((hook.name, FAILED), 0),
        )
        for hook in hooks
    )


@dataclass(frozen=True)
class Page:
    """Some deliveries, newest first; `before` leads to older ones, 0 where there are none."""

    rows: tuple[Delivery, ...]
    before: int


def found(name: str, *, state: str = "", event_type: str = "") -> QuerySet[Delivery]:
    """Return the deliveries of a webhook, of one state or of events whose type begins so."""
    deliveries = Delivery.objects.select_related("event").filter(webhook=name)
    if state:
        deliveries = deliveries.filter(state=state)
    return deliveries.filter(event__type__startswith=event_type) if event_type else deliveries


def page(name: str, *, state: str = "", event_type: str = "", before: int = 0) -> Page:
    """Return one page of deliveries."""
    deliveries = found(name, state=state, event_type=event_type)
    if before:
        deliveries = deliveries.filter(pk__lt=before)
    rows = list(deliveries.order_by("-pk")[: PAGE + 1])
    shown = rows[:PAGE]
    return Page(tuple(shown), shown[-1].pk if len(rows) > PAGE else 0)


def attempts(delivery: Delivery) -> list[DeliveryAttempt]:
    """Return the tries of a delivery, newest first."""
    return list(delivery.attempts.order_by("-number")[:200])
