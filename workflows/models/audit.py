"""Who changed what, when and why. Append-only."""

from django.db import models


class AuditEntry(models.Model):
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=60)  # such as `run.cancel`
    object_kind = models.CharField(max_length=40)
    object_id = models.CharField(max_length=200)
    reason = models.TextField(blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_newest"),
            # By the beginning: `triage` finds triage@3, `support` support/production.
            models.Index(fields=["object_id"], name="audit_object", opclasses=["varchar_pattern_ops"]),
            models.Index(fields=["actor", "-at", "-id"], name="audit_actor"),
            models.Index(fields=["action", "-at", "-id"], name="audit_action"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.object_kind} {self.object_id}"
