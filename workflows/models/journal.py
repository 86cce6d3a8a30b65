"""What a run leaves behind: events, payloads, lineage, provider calls. Append-only, but for a call's end."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from workflows.models.runs import Run, StepRun


class JournalEvent(models.Model):
    """One event.

    `seq` increases in causal order; `n` counts from 1 within (step, epoch) and within the run's own.
    """

    seq = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="journal", db_index=False, db_constraint=False
    )
    type = models.CharField(max_length=40)
    at = models.DateTimeField(db_default=Now())
    step = models.TextField(null=True)  # noqa: DJ001  null is the run itself, as in the API
    epoch = models.PositiveSmallIntegerField(null=True)
    attempt = models.PositiveIntegerField(null=True)
    n = models.PositiveIntegerField()
    data = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["run", "seq"], name="journal_run")]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "step", "epoch"],
                condition=Q(type="step.succeeded"),
                name="journal_one_completion",
            ),
            models.UniqueConstraint(
                fields=["run"], condition=Q(type="run.succeeded"), name="journal_one_success"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.seq} {self.type}"


class Payload(models.Model):
    """A JSON value, stored once under the sha-256 of its canonical form."""

    hash = models.BinaryField(primary_key=True)
    size = models.PositiveIntegerField()  # bytes of the canonical form
    compressed = models.BooleanField(default=False)
    body = models.BinaryField()
    touched_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return bytes(self.hash).hex()


class Lineage(models.Model):
    """A piece of state that a step used: `kind` such as document, prompt, snapshot; `ref` names it."""

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="lineage", db_index=False, db_constraint=False
    )
    step_run = models.ForeignKey(
        StepRun, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    kind = models.CharField(max_length=30)
    ref = models.TextField()

    class Meta:
        indexes = [
            # Who used a piece, run by run, without a look at the rows.
            models.Index(fields=["kind", "ref", "run", "step_run"], name="lineage_used"),
            models.Index(fields=["run", "kind"], name="lineage_run"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.ref}"


class Call(models.Model):
    """One request to a provider: written before it is sent, completed after.

    A killed worker leaves it `sending`: counted, its cost unknown.
    """

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="calls", db_index=False, db_constraint=False
    )
    step_run = models.ForeignKey(
        StepRun, on_delete=models.CASCADE, related_name="calls", db_index=False, db_constraint=False
    )
    attempt = models.PositiveIntegerField()
    number = models.PositiveIntegerField()  # counts from 0 within the step run
    state = models.CharField(max_length=10)  # sending | done
    provider = models.CharField(max_length=63)
    provider_version = models.PositiveIntegerField()
    model_requested = models.CharField(max_length=200)
    model_returned = models.CharField(max_length=200, blank=True)
    request_hash = models.BinaryField()
    response_hash = models.BinaryField(null=True)  # as it came over the wire
    answer_hash = models.BinaryField(
        null=True
    )  # as the step got it; null: it got none. A replay answers with it
    finish_reason = models.CharField(max_length=30, blank=True)
    usage = models.JSONField(null=True)  # {input, cached, output, reasoning, source}
    cost_usd = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    price_version = models.CharField(max_length=80, blank=True)
    timing_ms = models.JSONField(null=True)  # {queue, first_token, total}
    error = models.JSONField(null=True)  # {class, status, message, phase}
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["step_run", "attempt", "number"], name="call_number"),
            models.CheckConstraint(condition=Q(state__in=["sending", "done"]), name="call_state_known"),
        ]
        indexes = [
            models.Index(fields=["run", "id"], name="call_run"),
            models.Index(fields=["provider", "started_at"], name="call_provider"),
            models.Index(fields=["model_requested", "started_at"], name="call_model"),
            # Few answer under another name than they were asked for by: `small` as `small-0711`.
            models.Index(
                fields=["model_returned", "started_at"],
                name="call_answered_by",
                condition=~Q(model_returned=F("model_requested")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.provider}/{self.model_requested}"
