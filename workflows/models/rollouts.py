"""Rollouts and what was measured of them. `workflows.releases.rollouts` alone writes their states."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from workflows import states
from workflows.models.releases import Environment, Release

ROLLOUT_ACTIVE: Final = ("running", "paused")
# Which release a run of a rollout was given.
CANDIDATE, STABLE = "candidate", "stable"


class Rollout(models.Model):
    """The staged move of a workflow in an environment from one release to another.

    `plan` is the `rollout` of the environment's document as it was at the start. `step` counts the plan's steps from
    0; -1 is before the first. `moves` rises with every change: who changes a row names the number that was read.
    """

    workflow = models.CharField(max_length=63)
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="+")
    # Null: nothing was deployed there before.
    from_release = models.ForeignKey(Release, null=True, on_delete=models.PROTECT, related_name="+")
    to_release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=12)
    # Why it is paused: approval | gate | operator | failed | inconclusive | sample_ratio | deadline | quarantined.
    paused_for = models.CharField(max_length=20, blank=True, default="")
    note = models.TextField(blank=True, default="")  # in words: why it is where it is
    plan = models.JSONField()
    salt = models.CharField(max_length=32)
    step = models.IntegerField(default=-1)
    step_at = models.DateTimeField()  # since when
    weight = models.FloatField(default=0.0)  # percent of new runs that get the candidate
    weight_at = models.DateTimeField()  # runs are compared that were created since then
    due_at = models.DateTimeField(null=True)  # when the clock looks at it next; null: it waits for a person
    looks = models.PositiveIntegerField(default=0)  # measurements of the analysis that goes on
    failures = models.PositiveIntegerField(default=0)  # of those, how many failed
    moves = models.PositiveIntegerField(default=0)
    # Of the stable release before the rollout: {runs, failed, invalid}; what the statistics begin with.
    history = models.JSONField(default=dict)
    verdict = models.CharField(max_length=8, blank=True, default="")  # of the last measurement
    metrics = models.JSONField(default=list)  # its results
    measured_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True, default="")
    protected = models.BooleanField(
        default=False
    )  # as the environment was at the start: it wants a second person
    started_by = models.CharField(max_length=200)
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    # It ended badly, and the candidate's runs that go on are to be cancelled.
    cancelling = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=list(states.ROLLOUT)), name="rollout_state_known"),
            models.CheckConstraint(condition=Q(weight__gte=0, weight__lte=100), name="rollout_weight"),
            models.UniqueConstraint(
                fields=["workflow", "environment"],
                condition=Q(state__in=ROLLOUT_ACTIVE),
                name="rollout_one_active",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="rollout_due", condition=Q(state="running")),
            models.Index(fields=["id"], name="rollout_cancelling", condition=Q(cancelling=True)),
            models.Index(fields=["workflow", "environment", "-id"], name="rollout_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.workflow} in {self.environment_id}: {self.from_release_id} → {self.to_release_id}"


class Measurement(models.Model):
    """One look at the metrics of a rollout."""

    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="measurements")
    move = models.PositiveIntegerField()  # the rollout's number of moves before it
    step = models.IntegerField()
    at = models.DateTimeField()
    verdict = models.CharField(max_length=8)
    metrics = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollout", "move"], name="measurement_move")]

    def __str__(self) -> str:
        return f"{self.rollout_id} at {self.at}: {self.verdict}"
