"""Which runs a filter matches, as a query. May not order, count or show them: run_list.py, run_totals.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    BooleanField,
    DurationField,
    ExpressionWrapper,
    F,
    Func,
    Q,
    QuerySet,
    Value,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.db.models.lookups import Exact

from workflows import payloads, states
from workflows.models import Release, Run, StepRun, Taint
from workflows.models.releases import IMPORTED
from workflows.models.runs import TOKENS_USED

# A step that is due and that nobody does. Each bound is several times what a healthy system needs.
STUCK_READY: Final = timedelta(minutes=10)  # ready, and no worker took it
STUCK_OVERDUE: Final = timedelta(minutes=2)  # its lease ran out, or its time to wake has passed

# Runs of this installation: nobody here has to see to one that was taken in.
HERE: Final = ~Q(environment=IMPORTED)

# As the index of open steps says it.
_STEP_CLOSED: Final = ("succeeded", "skipped", "failed", "cancelled")

Comparison = Literal["gt", "gte", "lt", "lte"]


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A limit on a number of a run: US dollars, tokens (input and output), or seconds from first step to end."""

    of: Literal["cost", "tokens", "duration"]
    comparison: Comparison
    amount: Decimal


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """Which runs; empty fields do not narrow, all that are set narrow together.

    `states` are alternatives: a run's own, or `unknown` and `stuck`, as a run is shown by its steps; `attention`
    adds runs that wait for a person, but none that was taken in from another installation. `text` and each of
    `phrases` stand in a title, an error, or a step's name. `taint` is the number of a quarantine that holds, or
    `any`; `group` that of an error group.
    `nothing` is what a filter that cannot be read means.
    """

    text: str = ""
    phrases: tuple[str, ...] = ()
    workflow: str = ""
    environment: str = ""
    release: int | None = None
    states: tuple[str, ...] = ()
    attention: bool = False
    session: str = ""
    tags: tuple[str, ...] = ()
    error: str = ""
    taint: str = ""
    group: int | None = None
    bounds: tuple[Bound, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    nothing: bool = False


def matching(chosen: RunFilter) -> QuerySet[Run]:
    """Return the runs that match, unordered."""
    if chosen.nothing:
        return Run.objects.none()
    runs = Run.objects.filter(_exactly(chosen))
    if chosen.release:
        runs = runs.filter(release_id__in=_releases(chosen.release, chosen.workflow))
    if chosen.attention or chosen.states:
        runs = runs.filter(_in_states(chosen))
    if chosen.tags:
        # The second condition is what the index of tags is kept under.
        runs = runs.filter(tags__contains=list(chosen.tags), tags__gt=[])
    if chosen.taint:
        runs = runs.filter(pk__in=_tainted(chosen.taint))
    for text in filter(None, (chosen.text, *chosen.phrases)):
        runs = runs.filter(_has_text(text))
    for bound in chosen.bounds:
        runs = _bounded(runs, bound)
    return runs


def _exactly(chosen: RunFilter) -> Q:
    exact = {
        "workflow": chosen.workflow,
        "environment_id": chosen.environment,
        "session": chosen.session,
        "created_at__gte": chosen.since,
        "created_at__lt": chosen.until,
        "error__class": chosen.error,
        "error_group_id": chosen.group,
    }
    return Q(**{field: value for field, value in exact.items() if value})


def _releases(number: int, workflow: str) -> list[int]:
    """Look up the releases of that number first: by a join the planner would not find the index of their runs."""
    releases = Release.objects.filter(number=number)
    if workflow:
        releases = releases.filter(workflow=workflow)
    return list(releases.values_list("pk", flat=True))


def _in_states(chosen: RunFilter) -> Q:
    wanted = Q(state__in=[state for state in chosen.states if state in states.RUN])
    if chosen.attention:
        wanted |= (Q(state="failed") | _one_of(troubled_runs())) & HERE
    if "unknown" in chosen.states:
        wanted |= _one_of(unknown_runs())
    if "stuck" in chosen.states:
        wanted |= _one_of(stuck_runs())
    return wanted


def _has_text(text: str) -> Q:
    """Look where an index of trigrams does: every alternative has one, else all runs would be read."""
    text = payloads.clean_text(text, limit=200)
    in_error = Q(error__message__icontains=text) | Q(error__step__icontains=text)
    named = Q(title__icontains=text) | Q(id__startswith=text.lower()) | Q(session__icontains=text)
    steps = StepRun.objects.filter(superseded=False, path__icontains=text).exclude(state__in=_STEP_CLOSED)
    return named | in_error | _one_of(steps.values("run_id"))


def _tainted(by: str) -> QuerySet[Taint, Any]:
    taints = Taint.objects.filter(quarantine__released_at=None)
    if by != "any":
        taints = taints.filter(quarantine_id=int(by))
    return taints.values("run_id")


class _IsAnyOf(Func):
    arg_joiner = " = ANY("
    template = "(%(expressions)s))"
    output_field = BooleanField()


def _one_of(run_ids: QuerySet[StepRun, Any]) -> Q:
    """Say of a run that it is one of these: they are read once, before, and can then be looked up by an index.

    An ordinary subquery beside an OR is asked for every run instead.
    """
    return Q(_IsAnyOf(F("id"), ArraySubquery(run_ids)))


def _bounded(runs: QuerySet[Run], bound: Bound) -> QuerySet[Run]:
    """Keep the runs on the right side of a limit; what is not known yet is on neither."""
    name = f"{bound.of}_known"
    amount = timedelta(seconds=float(bound.amount)) if bound.of == "duration" else bound.amount
    return runs.alias(**{name: _number(bound.of)}).filter(**{f"{name}__{bound.comparison}": amount})


def _number(of: str) -> Combinable:
    if of == "cost":
        return F("cost_usd")
    if of == "duration":
        return ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
    return TOKENS_USED


def overdue_steps() -> Q:
    """Say of a step run that it is due and that nobody does it, although no pause holds it up."""
    paused = Func(F("lane"), function="interlock_paused", output_field=BooleanField())
    return (
        (Q(state="ready", ready_at__lt=Now() - STUCK_READY) & Q(Exact(paused, Value(value=False))))
        | Q(state="running", lease_until__lt=Now() - STUCK_OVERDUE)
        | Q(state="waiting", wake_at__lt=Now() - STUCK_OVERDUE)
    )


def unknown_runs() -> QuerySet[StepRun, Any]:
    """Name the runs in which a step waits for a person to say what became of it."""
    return StepRun.objects.filter(state="unknown").values("run_id")


def stuck_runs() -> QuerySet[StepRun, Any]:
    """Name the runs that go on, and in which nobody does what is due."""
    return StepRun.objects.filter(overdue_steps(), run__state__in=states.RUN_ACTIVE).values("run_id")


def troubled_runs() -> QuerySet[StepRun, Any]:
    """Name the runs that are stuck, or of which a step's outcome is unknown."""
    going = overdue_steps() & Q(run__state__in=states.RUN_ACTIVE)
    return StepRun.objects.filter(Q(state="unknown") | going).values("run_id")
