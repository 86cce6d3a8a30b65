"""Schedules and what became of each of their fire times. `workflows.schedules` alone writes them."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

# What became of a fire time. `due`: its run is to be started, as soon as what went before lets it.
DUE, STARTED, SKIPPED, MISSED, FAILED = "due", "started", "skipped", "missed", "failed"
OUTCOMES: Final = (DUE, STARTED, SKIPPED, MISSED, FAILED)


class Schedule(models.Model):
    """How far a Schedule document has got. `version` is the one by which `next_fire_at` was computed."""

    name = models.CharField(max_length=63, primary_key=True)
    version = models.PositiveIntegerField()
    workflow = models.CharField(max_length=63)  # as its document says
    next_fire_at = models.DateTimeField()
    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=200, blank=True, default="")
    pause_reason = models.TextField(blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["next_fire_at"], name="schedule_next", condition=Q(paused_at__isnull=True)),
            models.Index(fields=["workflow"], name="schedule_workflow"),
        ]

    def __str__(self) -> str:
        return self.name


class Fire(models.Model):
    """One fire time; or, where they were missed together, `count` of them from `fire_at` to `until`.

    The version is written down with it, so that every try to start its run asks for the same run.
    """

    schedule = models.CharField(max_length=63)
    fire_at = models.DateTimeField()
    version = models.PositiveIntegerField()
    manual = models.BooleanField(default=False)  # a person fired it; `fired_by` did
    fired_by = models.CharField(max_length=200, blank=True, default="")
    key = models.CharField(max_length=255, null=True)  # noqa: DJ001  a person's request: the same one fires once
    outcome = models.CharField(max_length=10)
    note = models.TextField(
        blank=True, default=""
    )  # why it was skipped, missed, or failed; what it waits for
    run_id = models.CharField(max_length=20, blank=True, default="")
    waits_for = models.CharField(max_length=20, blank=True, default="")  # the run that has to end before
    not_before = models.DateTimeField(null=True)  # there was no room for its run: when to ask again
    until = models.DateTimeField(null=True)
    count = models.PositiveIntegerField(default=1)
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["schedule", "fire_at"], name="fire_once"),
            models.UniqueConstraint(fields=["schedule", "key"], name="fire_key"),
            models.CheckConstraint(condition=Q(outcome__in=OUTCOMES), name="fire_outcome_known"),
        ]
        indexes = [
            models.Index(fields=["schedule", "fire_at"], name="fire_due", condition=Q(outcome=DUE)),
            models.Index(fields=["schedule", "outcome", "-fire_at"], name="fire_by_outcome"),
            models.Index(fields=["fire_at"], name="fire_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.schedule} {self.fire_at}: {self.outcome}"
