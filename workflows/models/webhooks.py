"""Webhooks, the events that somebody wants to hear of, and their deliveries.

Events are written by `interlock_announce` in the transaction of what happened; the rest by `workflows.webhooks`.
"""

from __future__ import annotations

from typing import Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

# `pending`: to be sent, at `next_at`. `failed`: given up, after a day or because the endpoint is gone.
PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
DELIVERY_STATES: Final = (PENDING, DELIVERED, FAILED)


class Webhook(models.Model):
    """A Webhook document as the outbox needs it: whether it listens, and to which events."""

    name = models.CharField(max_length=63, primary_key=True)
    url = models.TextField()
    secret = models.CharField(max_length=200)  # a reference: env:NAME or secret:NAME
    events = ArrayField(models.TextField())  # types, `family.*`, or `*`
    disabled_at = models.DateTimeField(null=True)
    disabled_by = models.CharField(max_length=200, blank=True, default="")
    disabled_why = models.TextField(blank=True, default="")
    failing_since = models.DateTimeField(null=True)  # the first failure after the last success

    def __str__(self) -> str:
        return self.name


class Event(models.Model):
    """Something that happened and that a webhook listens to. `id` is the `webhook-id` of every delivery of it."""

    id = models.CharField(max_length=40, primary_key=True)
    type = models.CharField(max_length=60)
    subject = models.CharField(max_length=200)  # such as the run's id
    at = models.DateTimeField(db_default=Now())
    data = models.JSONField()

    class Meta:
        indexes = [models.Index(fields=["at"], name="event_oldest")]

    def __str__(self) -> str:
        return f"{self.type} {self.subject}"


class Delivery(models.Model):
    """One event on its way to one webhook. A lease keeps two workers from sending it at once."""

    webhook = models.CharField(max_length=63)
    event = models.ForeignKey(
        Event, on_delete=models.CASCADE, related_name="deliveries", db_index=False, db_constraint=False
    )
    state = models.CharField(max_length=10, default=PENDING)
    created_at = models.DateTimeField(db_default=Now())
    next_at = models.DateTimeField(null=True)  # null once it is decided
    gives_up_at = models.DateTimeField()
    attempts_made = models.PositiveIntegerField(default=0)
    attempts_before = models.PositiveIntegerField(default=0)  # made before somebody sent it again
    lease = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)  # of the last attempt's answer
    error = models.TextField(blank=True, default="")  # of the last attempt

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["webhook", "event"], name="delivery_once"),
            models.CheckConstraint(condition=Q(state__in=DELIVERY_STATES), name="delivery_state_known"),
        ]
        indexes = [
            models.Index(fields=["webhook", "next_at"], name="delivery_due", condition=Q(state=PENDING)),
            models.Index(
                fields=["webhook"], name="delivery_leased", condition=Q(state=PENDING, lease__isnull=False)
            ),
            models.Index(fields=["webhook", "-id"], name="delivery_newest"),
            models.Index(fields=["event"], name="delivery_event"),
            models.Index(fields=["webhook", "state", "-id"], name="delivery_by_state"),
            models.Index(fields=["ended_at"], name="delivery_oldest", condition=Q(ended_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.webhook}: {self.state}"


class DeliveryAttempt(models.Model):
    """One try: what the endpoint answered, or why it did not."""

    delivery = models.ForeignKey(
        Delivery, on_delete=models.CASCADE, related_name="attempts", db_constraint=False
    )
    number = models.PositiveIntegerField()
    at = models.DateTimeField(db_default=Now())
    status = models.PositiveSmallIntegerField(null=True)
    error = models.TextField(blank=True, default="")
    excerpt = models.TextField(blank=True, default="")  # how the answer begins
    took_ms = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["delivery", "number"], name="delivery_attempt")]

    def __str__(self) -> str:
        return f"{self.delivery_id} attempt {self.number}"
