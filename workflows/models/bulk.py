"""Actions on many runs at once: what was asked, and what became of each run."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from workflows import states

ACTIONS = ("retry", "cancel", "fork")
OUTCOMES = ("pending", "done", "refused")


class BulkAction(models.Model):
    """One action on a frozen set of runs. Its state is written by `workflows/bulk/` alone."""

    id = models.CharField(max_length=20, primary_key=True)
    action = models.CharField(max_length=10)
    selection = models.JSONField()  # {filter} | {ids} | {bulk, part}: see workflows/bulk/selections.py
    frozen_at = models.DateTimeField()  # runs that came later, or failed later, are not part of it
    options = models.JSONField(default=dict)  # how it is carried out, and what else was asked: see actions.py
    preview = models.JSONField(default=dict)  # what the dry run said: {matched, excluded, groups, cost_usd}
    total = models.PositiveIntegerField()
    state = models.CharField(max_length=10)
    note = models.TextField(blank=True, default="")  # why it stands where it stands
    reason = models.TextField()
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())
    starts_at = models.DateTimeField()  # until then it can be undone
    passed_at = models.DateTimeField(
        null=True
    )  # since then the first runs have shown that the rest may follow
    ended_at = models.DateTimeField(null=True)
    run_id = models.CharField(max_length=20, blank=True, default="")  # the run that carries it out now
    idempotency_key = models.CharField(  # noqa: DJ001  null: none was given
        max_length=255, null=True, unique=True
    )
    request_hash = models.BinaryField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=list(states.BULK)), name="bulk_state_known"),
            models.CheckConstraint(condition=Q(action__in=ACTIONS), name="bulk_action_known"),
        ]
        indexes = [models.Index(fields=["-created_at", "-id"], name="bulk_newest")]

    def __str__(self) -> str:
        return f"{self.id} {self.action} {self.total}"


class BulkItem(models.Model):
    """One run of a bulk action. No constraint on the run: `prune` deletes whole runs."""

    bulk = models.ForeignKey(BulkAction, on_delete=models.CASCADE, related_name="items", db_index=False)
    run_id = models.CharField(max_length=20)
    outcome = models.CharField(max_length=10, default="pending")
    made = models.CharField(max_length=20, blank=True, default="")  # the fork of the run
    reason = models.TextField(blank=True, default="")  # why it was refused
    at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["bulk", "run_id"], name="bulk_item_once"),
            models.CheckConstraint(condition=Q(outcome__in=OUTCOMES), name="bulk_outcome_known"),
        ]
        indexes = [models.Index(fields=["bulk", "outcome", "id"], name="bulk_items")]

    def __str__(self) -> str:
        return f"{self.bulk_id} {self.run_id} {self.outcome}"
