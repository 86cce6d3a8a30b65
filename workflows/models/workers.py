"""Worker processes that are alive, and the lease by which one of them holds the clock."""

from django.db import models
from django.db.models.functions import Now


class Worker(models.Model):
    id = models.CharField(max_length=120, primary_key=True)  # host:pid:nonce
    host = models.CharField(max_length=100)
    pid = models.PositiveIntegerField()
    threads = models.PositiveIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    draining = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.id


class ClockLease(models.Model):
    name = models.CharField(max_length=40, primary_key=True)
    holder = models.CharField(max_length=120)
    held_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"
