"""What runs wait for besides time and workers: people's decisions, signals, and pauses of more than one run."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from workflows.models.releases import Environment
from workflows.models.runs import Run, StepRun


class Approval(models.Model):
    """A question to a person. It is open while nobody has decided and its step run waits.

    What was asked never changes; the decision is written once.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="approvals", db_constraint=False)
    step_run = models.ForeignKey(
        StepRun, on_delete=models.CASCADE, related_name="approvals", db_constraint=False
    )
    path = models.TextField()
    workflow = models.CharField(max_length=63)
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, db_index=False)
    group = models.CharField(max_length=150, blank=True, default="")  # who may decide; blank: any operator
    title = models.TextField()
    details = models.TextField(blank=True, default="")
    fields = models.JSONField(null=True)  # the JSON Schema of the form; null: none
    requested_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)  # decided, timed out, or the step was cancelled
    outcome = models.CharField(
        max_length=10, blank=True, default=""
    )  # approved | rejected | timed_out | cancelled
    decided_by = models.CharField(max_length=200, blank=True, default="")
    comment = models.TextField(blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["-id"], name="approval_open", condition=Q(closed_at__isnull=True)),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["step_run"], condition=Q(closed_at__isnull=True), name="approval_one_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.path}"


class Signal(models.Model):
    """A signal that was sent to a run; kept until a matching wait takes it."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="signals", db_constraint=False)
    name = models.CharField(max_length=100)
    payload_hash = models.BinaryField()
    sent_by = models.CharField(max_length=200)
    sent_at = models.DateTimeField(db_default=Now())
    taken_by = models.TextField(null=True)  # noqa: DJ001  null: nobody yet; the path of a step else

    class Meta:
        indexes = [
            models.Index(fields=["run", "name", "id"], name="signal_open", condition=Q(taken_by__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.name}"


class Pause(models.Model):
    """Nothing new starts in this scope. Both null: nowhere at all."""

    environment = models.ForeignKey(Environment, null=True, on_delete=models.CASCADE)
    workflow = models.CharField(max_length=63, null=True)  # noqa: DJ001  null: every workflow
    reason = models.TextField()
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "workflow"], nulls_distinct=False, name="pause_scope_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.environment_id or 'everywhere'} {self.workflow or ''}".strip()
