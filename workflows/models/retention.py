"""What retention has done: which runs are gone, and what each prune removed. Only `workflows/retention/` writes it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class DeletedRun(models.Model):
    """What is left of a run that retention deleted. Until it is emptied, rows of it are still being deleted."""

    id = models.CharField(max_length=20, primary_key=True)
    root = models.CharField(max_length=20)  # of its tree; itself, where it was nobody's child
    workflow = models.CharField(max_length=63)
    environment = models.CharField(max_length=63)
    session = models.TextField(null=True)  # noqa: DJ001  null: it had none; it names what a fork remembered
    ended_at = models.DateTimeField()
    deleted_at = models.DateTimeField(db_default=Now())
    emptied_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["id"], name="deleted_to_empty", condition=Q(emptied_at__isnull=True)),
            models.Index(fields=["deleted_at"], name="deleted_oldest"),
        ]

    def __str__(self) -> str:
        return self.id


class Prune(models.Model):
    """One prune: who asked for it, what it removed. `ended_at` null: it is under way, or was killed."""

    by = models.CharField(max_length=200)
    began_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    removed = models.JSONField(default=dict)  # {what: how many}, see workflows/retention/report.py
    bytes = models.BigIntegerField(default=0)  # of payloads and uploads, as they were stored

    class Meta:
        indexes = [models.Index(fields=["-began_at", "-id"], name="prune_newest")]

    def __str__(self) -> str:
        return f"{self.began_at} by {self.by}"
