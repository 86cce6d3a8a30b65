"""Failures that are alike, and each time that one of them was seen. Written by `workflows/failures/` alone."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from workflows.models.runs import Run


class ErrorGroup(models.Model):
    """One kind of failure: see workflows/failures/fingerprints.py for what makes two alike."""

    fingerprint = models.BinaryField(unique=True)
    workflow = models.CharField(max_length=63)
    step = models.TextField(blank=True)  # without indexes: score[]/judge
    error_class = models.TextField(blank=True)
    provider = models.CharField(max_length=63, blank=True)
    message = models.TextField(blank=True)  # without what varies
    first_seen = models.DateTimeField(null=True)
    last_seen = models.DateTimeField(null=True)
    seen = models.PositiveIntegerField(default=0)  # failures, also of runs that were recovered since
    newest_run = models.CharField(max_length=20, blank=True)
    state = models.CharField(max_length=10, default="open")
    assigned_to = models.CharField(max_length=200, blank=True)
    note = models.TextField(blank=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=200, blank=True)
    came_back_at = models.DateTimeField(null=True)  # when it was seen again after it was resolved
    revision = models.PositiveIntegerField(default=0)  # how often somebody changed what is said of it
    changed_at = models.DateTimeField(null=True)
    changed_by = models.CharField(max_length=200, blank=True)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["open", "resolved"]), name="error_group_state_known"
            )
        ]
        indexes = [
            models.Index(fields=["state", "-last_seen", "-id"], name="error_group_newest"),
            models.Index(fields=["workflow", "step"], name="error_group_place"),
        ]

    def __str__(self) -> str:
        return f"{self.workflow} {self.step} {self.error_class}"


class ErrorSighting(models.Model):
    """One failure of a run; it may have failed several times."""

    group = models.ForeignKey(ErrorGroup, on_delete=models.CASCADE, related_name="sightings", db_index=False)
    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="failures", db_constraint=False, db_index=False
    )
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "at"], name="error_sighting_once")]
        indexes = [models.Index(fields=["group", "-at"], name="error_sightings")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.at}"
