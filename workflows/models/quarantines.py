"""Pieces of state that are not to be trusted, and the runs that used them."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from workflows.models.runs import Run

KINDS: Final = ("document", "snapshot", "prompt", "tool", "memory", "release", "provider")


class Quarantine(models.Model):
    """One piece of state, excluded from now on. It holds while `released_at` is null."""

    kind = models.CharField(max_length=20)
    ref = models.TextField()  # such as handbook/leave.md, handbook@3, triage@2, production/global/rates@7
    since = models.DateTimeField(null=True)  # of a provider: the window in which its answers are not trusted
    until = models.DateTimeField(null=True)
    reason = models.TextField()
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())
    released_at = models.DateTimeField(null=True)
    released_by = models.CharField(max_length=200, blank=True, default="")
    release_reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=KINDS), name="quarantine_kind_known"),
            models.UniqueConstraint(
                fields=["kind", "ref"],
                condition=Q(released_at__isnull=True) & ~Q(kind="provider"),
                name="quarantine_one_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.ref}"


class Taint(models.Model):
    """A run that used what is quarantined, itself or through what a tainted run left behind."""

    quarantine = models.ForeignKey(
        Quarantine, on_delete=models.CASCADE, related_name="taints", db_index=False
    )
    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="taints", db_constraint=False, db_index=False
    )
    path = models.TextField(blank=True, default="")  # the first step that used it; blank: the whole run
    via = models.CharField(max_length=20, blank=True, default="")  # memory | run; blank: the thing itself
    marked_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["quarantine", "run"], name="taint_once")]
        indexes = [models.Index(fields=["run"], name="taint_run")]

    def __str__(self) -> str:
        return f"{self.run_id} by {self.quarantine_id}"
