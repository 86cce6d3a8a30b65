"""Runs, step runs and attempts. Their states are written by the engine's statements alone.

The tables that grow have no foreign-key constraints: each check would take a share lock on the row of
the run, and ten thousand items of one run that end at once would queue there. `prune` deletes whole runs.
"""

from __future__ import annotations

from typing import Final

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Now, Upper

from workflows import states
from workflows.models.releases import IMPORTED, Environment, Release

PRIORITIES = {"high": 1, "normal": 5, "low": 9}
# Input and output of a run or a step, as one number; written so in queries, an index can serve it.
TOKENS_USED: Final = Cast(KeyTextTransform("input", "tokens"), output_field=models.IntegerField()) + Cast(
    KeyTextTransform("output", "tokens"), output_field=models.IntegerField()
)


class Run(models.Model):
    id = models.CharField(max_length=20, primary_key=True)
    workflow = models.CharField(max_length=63)
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, db_index=False)
    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="runs", db_index=False)
    state = models.CharField(max_length=10)
    # Where a run goes once its running attempts have ended: failed | cancelled.
    # Nothing new starts while it is set.
    stopping = models.CharField(max_length=10, blank=True, default="")
    # Steps that run when all else has ended: '' there are none | pending | running.
    closing = models.CharField(max_length=10, blank=True, default="", db_default="")
    # Of the runs of a workflow with the same key, so many go on at once; the others wait, not admitted.
    concurrency_key = models.TextField(null=True)  # noqa: DJ001
    concurrency_limit = models.PositiveIntegerField(null=True)
    admitted = models.BooleanField(default=True, db_default=True)
    title = models.TextField(blank=True, default="")
    trigger = models.CharField(max_length=20)  # api | console | cli | workflow | schedule …
    created_by = models.CharField(max_length=200)
    session = models.TextField(null=True)  # noqa: DJ001  null in the API: no session
    tags = ArrayField(models.TextField(), default=list)
    # Of a run that was started while a rollout went on: which release it was given (candidate | stable), and the first
    # 63 bits of the hash of what keeps it there.
    rollout = models.ForeignKey(
        "Rollout",
        null=True,
        on_delete=models.SET_NULL,
        related_name="runs",
        db_index=False,
        db_constraint=False,
    )
    arm = models.CharField(max_length=9, blank=True, default="", db_default="")
    sticky_hash = models.BigIntegerField(null=True)
    # How it had ended (failed | cancelled) when somebody first led it on: a release is judged by the first end.
    led_on_from = models.CharField(max_length=9, blank=True, default="", db_default="")
    priority = models.PositiveSmallIntegerField(default=PRIORITIES["normal"])
    pins = models.JSONField(default=dict)  # {corpus: snapshot number}
    variables = models.JSONField(default=dict)  # the environment's variables, as they were at the start
    input_hash = models.BinaryField()
    output_hash = models.BinaryField(null=True)
    error = models.JSONField(null=True)  # {class, message, step}
    # Of a failed run, a little after it failed; written by workflows/failures.
    error_group = models.ForeignKey(
        "ErrorGroup",
        null=True,
        on_delete=models.SET_NULL,
        related_name="runs",
        db_index=False,
        db_constraint=False,
    )
    idempotency_key = models.CharField(max_length=255, null=True)  # noqa: DJ001  null: none was given
    # Of the parsed request body, to tell a repeat from a clash; of one with secrets it is made with the key.
    request_hash = models.BinaryField(null=True)
    # Its root was given secrets: what it records holds masks in their place.
    sealed = models.BooleanField(default=False, db_default=False)
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children")
    parent_path = models.TextField(null=True)  # noqa: DJ001  the step run of the parent that waits for this run
    # Where it stands in the tree of its root: the same for each child run that the same step starts, so that the keys
    # of what it calls are. Null: it is a root itself.
    tree_path = models.TextField(null=True)  # noqa: DJ001
    repeats = models.JSONField(
        null=True
    )  # {path of a step with a `once` effect: the epoch that may have it again}
    # Of a fork: what it takes from the record and what happens for real.
    # {of: the run whose record answers, from: path, effects: stub | live | {tool: live}, memory: as_recorded | live}
    fork = models.JSONField(null=True)
    forked_from = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="forks")
    events = models.PositiveIntegerField(default=0)  # the run's own journal events so far
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    # Since then its values may be deleted: it is shown, but not replayed, forked or retried any more.
    archived_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    # Totals, written once at the end; while the run goes on they are summed from its step runs.
    cost_usd = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    tokens = models.JSONField(null=True)  # {input, cached, output, reasoning}

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=list(states.RUN)), name="run_state_known"),
            models.UniqueConstraint(
                fields=["workflow", "environment", "idempotency_key"], name="run_idempotency_key"
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="run_newest"),
            models.Index(fields=["state", "-created_at", "-id"], name="run_by_state"),
            models.Index(fields=["workflow", "-created_at", "-id"], name="run_by_workflow"),
            models.Index(
                fields=["session", "-created_at"], name="run_by_session", condition=Q(session__isnull=False)
            ),
            models.Index(
                fields=["deadline_at"],
                name="run_deadline",
                condition=Q(deadline_at__isnull=False, ended_at__isnull=True),
            ),
            # What retention looks for: runs that nobody started but a person or a program, by when they ended.
            models.Index(
                fields=["environment", "ended_at", "id"],
                name="run_retained",
                condition=Q(parent__isnull=True, ended_at__isnull=False),
            ),
            models.Index(fields=["tree_path"], name="run_tree_path", condition=Q(tree_path__isnull=False)),
            models.Index(fields=["created_at"], name="run_open", condition=Q(ended_at__isnull=True)),
            # Few: figures leave them out.
            models.Index(fields=["created_at"], name="run_imported", condition=Q(environment=IMPORTED)),
            models.Index(
                fields=["workflow", "environment", "concurrency_key", "created_at"],
                name="run_concurrency",
                condition=Q(concurrency_key__isnull=False, ended_at__isnull=True),
            ),
            # What a rollout compares.
            models.Index(
                fields=["rollout", "arm", "created_at"],
                name="run_by_rollout",
                condition=Q(rollout__isnull=False),
            ),
            # What the list filters by and few runs have.
            models.Index(fields=["release", "-created_at", "-id"], name="run_by_release"),
            GinIndex(fields=["tags"], name="run_by_tag", condition=Q(tags__gt=[])),
            models.Index(
                KeyTransform("class", "error"),
                F("created_at").desc(),
                name="run_by_error",
                condition=Q(error__isnull=False),
            ),
            models.Index(
                fields=["error_group", "-created_at", "-id"],
                name="run_by_error_group",
                condition=Q(error_group__isnull=False),
            ),
            models.Index(
                fields=["ended_at"],
                name="run_ungrouped",
                condition=Q(state="failed", error_group__isnull=True) & ~Q(trigger="import"),
            ),
            # Any three letters in a row of what the list's text box looks in; `icontains` compares in upper case.
            GinIndex(
                *(
                    OpClass(Upper(text), name="gin_trgm_ops")
                    for text in (
                        F("title"),
                        F("session"),
                        KeyTextTransform("message", "error"),
                        KeyTextTransform("step", "error"),
                    )
                ),
                name="run_text",
            ),
            # Limits on numbers, of runs that have them: a run that goes on is written to often. Of partial indexes of
            # an expression the planner keeps no statistics: a migration has statistics kept of the expressions.
            models.Index(fields=["cost_usd"], name="run_by_cost", condition=Q(cost_usd__isnull=False)),
            models.Index(
                F("ended_at") - F("started_at"), name="run_by_duration", condition=Q(ended_at__isnull=False)
            ),
            models.Index(TOKENS_USED, name="run_by_tokens", condition=Q(tokens__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.id


class SecretInput(models.Model):
    """A secret of a root run's input, encrypted. Everything else of the run and its child runs holds its mask."""

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="secrets", db_index=False, db_constraint=False
    )
    mask = models.TextField()
    ciphertext = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "mask"], name="secret_of_run")]

    def __str__(self) -> str:
        return self.mask


class StepRun(models.Model):
    """One node of the definition in one run. Kept narrow: payloads lie elsewhere, under their hashes."""

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="steps", db_index=False, db_constraint=False
    )
    path = models.TextField(db_collation="C")  # prefix searches use the index; such as score[17]/judge
    step_id = models.CharField(max_length=63)
    kind = models.CharField(max_length=12)
    epoch = models.PositiveSmallIntegerField(default=1)
    # A later epoch has taken this one's place; it is kept for view.
    superseded = models.BooleanField(default=False)
    ordinal = models.PositiveIntegerField()  # the order of the definition
    parent = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.CASCADE,
        related_name="children",
        db_index=False,
        db_constraint=False,
    )
    item = models.PositiveIntegerField(null=True)  # which item of the parent map
    item_hash = models.BinaryField(null=True)  # and its value
    # ENVIRONMENT/WORKFLOW: workers take from the lanes in turn, and pauses close them.
    lane = models.TextField(db_collation="C", default="", db_default="")
    state = models.CharField(max_length=10)
    reason = models.CharField(
        max_length=20, blank=True, default=""
    )  # retry | children | lost | interrupted | time | signal | approval | child …
    waiting_on = models.PositiveIntegerField(default=0)  # needs that are not done yet
    held = models.BooleanField(default=False)  # a map item beyond max_parallel
    settling = models.BooleanField(default=False)  # what it waits for has come; the next attempt takes it in
    at_end = models.BooleanField(
        default=False, db_default=False
    )  # one of the workflow's `finally` steps, or inside one
    awaits = models.CharField(max_length=100, null=True)  # noqa: DJ001  the name of a signal
    answer_hash = models.BinaryField(null=True)  # what came of the wait; null: its time ran out
    alone = models.BooleanField(default=False)  # lost twice: it runs with no neighbour in its process
    priority = models.PositiveSmallIntegerField(default=PRIORITIES["normal"])
    ready_at = models.DateTimeField(null=True)
    rung_at = models.DateTimeField(null=True)  # when the clock last rang for it
    rings = models.PositiveSmallIntegerField(default=0)
    wake_at = models.DateTimeField(null=True)
    lease = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    sent = models.BooleanField(default=False)  # the running attempt's `once` call may have left
    attempts_made = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)  # of the work itself; these use up the retry policy
    losses = models.PositiveIntegerField(default=0)  # of the infrastructure; these never do
    events = models.PositiveIntegerField(default=0)
    input_hash = models.BinaryField(null=True)
    output_hash = models.BinaryField(null=True)
    error = models.JSONField(null=True)  # {class, message}
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    cost_usd = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    tokens = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "path", "epoch"], name="step_path_epoch"),
            models.CheckConstraint(condition=Q(state__in=list(states.STEP)), name="step_state_known"),
            models.CheckConstraint(
                condition=Q(state="running", lease__isnull=False, lease_until__isnull=False)
                | (~Q(state="running") & Q(lease__isnull=True)),
                name="step_running_has_lease",
            ),
        ]
        indexes = [
            # What a claim looks for.
            models.Index(
                fields=["priority", "lane", "ready_at", "id"], name="step_ready", condition=Q(state="ready")
            ),
            # What the clock looks for.
            models.Index(fields=["lease_until"], name="step_leased", condition=Q(state="running")),
            models.Index(
                fields=["wake_at"], name="step_timer", condition=Q(state="waiting", wake_at__isnull=False)
            ),
            # Unfinished siblings, and the next item of a map.
            models.Index(
                fields=["parent", "item"],
                name="step_open_children",
                condition=Q(parent__isnull=False)
                & ~Q(state__in=["succeeded", "skipped", "failed", "cancelled"]),
            ),
            models.Index(
                fields=["run"],
                name="step_open",
                condition=~Q(state__in=["succeeded", "skipped", "failed", "cancelled"]),
            ),
            models.Index(fields=["state"], name="step_unknown", condition=Q(state="unknown")),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.path}"


class Attempt(models.Model):
    step_run = models.ForeignKey(
        StepRun, on_delete=models.CASCADE, related_name="attempts", db_index=False, db_constraint=False
    )
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="attempts", db_constraint=False)
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=12)
    worker = models.CharField(max_length=120)
    lease = models.UUIDField()
    alone = models.BooleanField(default=False)
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    error = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["step_run", "number"], name="attempt_number"),
            models.CheckConstraint(condition=Q(state__in=list(states.ATTEMPT)), name="attempt_state_known"),
        ]

    def __str__(self) -> str:
        return f"{self.step_run} attempt {self.number}"
