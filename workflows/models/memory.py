"""What workflows remember: keys, their versions, and which version each run saw first."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from workflows.models.releases import Environment

OPERATIONS = ("write", "append", "delete", "forget")


class Memory(models.Model):
    """One key of one scope in one environment. `scope`: global | workflow:NAME | session:ID; `head` 0: nothing yet."""

    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, db_index=False)
    scope = models.TextField()
    key = models.TextField()
    head = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["environment", "scope", "key"], name="memory_key")]
        indexes = [models.Index(fields=["-updated_at"], name="memory_newest")]

    def __str__(self) -> str:
        return f"{self.environment_id} {self.scope} {self.key}"


class MemoryVersion(models.Model):
    """One change. An append keeps its own message only: the value is put together from what came before."""

    memory = models.ForeignKey(Memory, on_delete=models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    operation = models.CharField(max_length=10)
    value_hash = models.BinaryField(null=True)  # null: deleted or forgotten
    run_id = models.CharField(max_length=20, null=True)  # noqa: DJ001  null: a person or a program wrote it
    path = models.TextField(null=True)  # noqa: DJ001
    epoch = models.PositiveSmallIntegerField(null=True)
    actor = models.CharField(max_length=200)
    reason = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)
    # While it holds, nobody sees this change.
    quarantine = models.ForeignKey(
        "workflows.Quarantine", null=True, on_delete=models.SET_NULL, related_name="+", db_constraint=False
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["memory", "number"], name="memory_version"),
            # A step that is tried again finds what it wrote before.
            models.UniqueConstraint(
                fields=["run_id", "path", "epoch"],
                condition=Q(run_id__isnull=False),
                name="memory_written_once",
            ),
            models.CheckConstraint(condition=Q(operation__in=OPERATIONS), name="memory_operation_known"),
        ]

    def __str__(self) -> str:
        return f"{self.memory} @{self.number}"


class MemoryPin(models.Model):
    """The version of a key that a run saw first: what others wrote later, it never sees."""

    run_id = models.CharField(max_length=20)
    memory = models.ForeignKey(Memory, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run_id", "memory"], name="memory_pin")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.memory} @{self.number}"
