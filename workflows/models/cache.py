"""Results of steps that other steps may take instead of doing the same again."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class CachedResult(models.Model):
    """What a step with `cache` gave. `key` is the hash of all that it depended on, the environment included."""

    key = models.BinaryField(primary_key=True)
    output_hash = models.BinaryField()
    lineage = models.JSONField(default=list)  # [[kind, ref]]: what it was made of holds for who takes it, too
    run_id = models.CharField(max_length=20)
    path = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["expires_at"], name="cache_expiry"),
            models.Index(fields=["run_id"], name="cache_by_run"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.path}"
