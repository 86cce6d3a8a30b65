"""The dry run of a bulk action: how many runs it applies to, which are left out and why. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from django.db.models import Case, CharField, Count, Exists, OuterRef, Q, QuerySet, Sum, Value, When
from django.utils import timezone

from workflows import states
from workflows.bulk import consequences, families, headroom, selections
from workflows.bulk.changes import Change
from workflows.bulk.consequences import Calls
from workflows.bulk.headroom import Headroom
from workflows.bulk.selections import Selection
from workflows.engine.again import AGAIN
from workflows.errors import Invalid
from workflows.failures import grouping
from workflows.models import Run, StepRun, Taint
from workflows.queries import error_groups, run_list
from workflows.queries.attention import Trouble

Json = Any
Action = Literal["retry", "cancel", "fork"]
# The built-in workflow that carries bulk actions out; its own runs are never part of one.
CARRIER: Final = "interlock-bulk"
MAX_RUNS: Final = 100_000
SAMPLE: Final = 5
_GROUPS: Final = 20

# Why a run is left out: said of one, and of several.
WHY: Final[Mapping[str, tuple[str, str]]] = {
    "succeeded": ("succeeded: nothing to retry", "succeeded: nothing to retry"),
    "unknown": (
        "has a step whose outcome is unknown: settle it first",
        "have a step whose outcome is unknown: settle it first",
    ),
    "going": ("is still going on: nothing to retry yet", "are still going on: nothing to retry yet"),
    "unended": (
        "is still going on: only what has ended is forked",
        "are still going on: only what has ended is forked",
    ),
    "child": (
        "is a child run: fork the run that started it",
        "are child runs: fork the runs that started them",
    ),
    "below": (
        "is a child run of a failed one: retry the run at its top, which leads it on",
        "are child runs of failed ones: retry the runs at their top, which lead them on",
    ),
    "clean": ("did not use what is quarantined", "did not use what is quarantined"),
    "deadline": (
        "is past its deadline, which a retry would meet again: start it again instead",
        "are past their deadline, which a retry would meet again: start them again instead",
    ),
    "cancelled": ("was cancelled on purpose", "were cancelled on purpose"),
    "output": (
        "has no failed step: its output expression failed, which a retry does not mend",
        "have no failed step: their output expression failed, which a retry does not mend",
    ),
    "ended": ("has ended: nothing to cancel", "have ended: nothing to cancel"),
    "stopping": ("is being cancelled already", "are being cancelled already"),
    "carrier": (
        "carries out a bulk action: stop it on its own page",
        "carry out bulk actions: stop them on their own pages",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What would be done, to which runs, as they were at `frozen_at`.

    Of a retry: `with_cancelled` takes cancelled runs in; `above` means the runs at the top in place of child runs that
    stand below failed ones; `deployed` goes on with the release that is live where a run ran, instead of its own. Of a
    fork: `change`.
    """

    action: Action
    selection: Selection
    frozen_at: datetime
    with_cancelled: bool = False
    above: bool = False
    deployed: bool = False
    change: Change | None = None


@dataclass(frozen=True, kw_only=True)
class Excluded:
    """Runs that are left out for one reason; `examples` are some of their ids."""

    verdict: str
    count: int
    examples: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Why, to be read after the count."""
        return WHY[self.verdict][self.count != 1]


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Runs that failed alike; `id` is their error group, None where they are in none yet."""

    id: int | None
    error_class: str
    step: str
    message: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a bulk action would do; `sample` and `workflows` name some of the runs and where they belong.

    `cost_usd`: what the steps that run again cost the last time, where known; of a fork: all steps. Of a retry:
    `calls` of tools with an effect that are sent again, and providers of these failures that are in trouble now.
    `headroom`: how much the providers that are called still take; nothing is called by a cancellation.
    """

    asked: Asked
    matched: int
    applies: int
    excluded: tuple[Excluded, ...]
    groups: tuple[Alike, ...]
    sample: tuple[Run, ...]
    workflows: tuple[str, ...]
    cost_usd: Decimal | None
    calls: tuple[Calls, ...] = ()
    troubled: tuple[Trouble, ...] = ()
    headroom: tuple[Headroom, ...] = ()


def preview(asked: Asked) -> Preview:
    """Count exactly what would happen. Puts failures into their groups first: not within a transaction.

    Raises:
        Invalid: more runs match than one action may hold.
    """
    if asked.action == "retry":
        grouping.settle()
    return counted(asked)


def counted(asked: Asked) -> Preview:
    """Count what would happen, with failures in the groups in which they are. Raises: as `preview`."""
    verdicts = _counted(asked)
    chosen = applying(asked)
    going = families.led_on(chosen) if asked.action == "retry" else chosen
    workflows = tuple(chosen.order_by("workflow").values_list("workflow", flat=True).distinct()[:SAMPLE])
    excluded = (
        Excluded(verdict=verdict, count=count) for verdict, count in verdicts.items() if verdict != "applies"
    )
    return Preview(
        asked=asked,
        matched=sum(verdicts.values()),
        applies=verdicts.get("applies", 0),
        excluded=tuple(
            _with_examples(each, asked) for each in sorted(excluded, key=lambda each: -each.count)
        ),
        groups=_groups(chosen) if asked.action == "retry" else (),
        sample=tuple(chosen.order_by("-created_at", "-id")[:SAMPLE]),
        workflows=workflows,
        cost_usd=_cost(asked, going),
        calls=consequences.calls(going) if asked.action == "retry" else (),
        troubled=consequences.troubled(chosen, now=timezone.now()) if asked.action == "retry" else (),
        headroom=headroom.of(chosen, workflows, now=timezone.now()) if asked.action != "cancel" else (),
    )


def counts(selection: Selection, *, frozen_at: datetime) -> dict[str, int]:
    """Return how many runs are meant, and to how many each action applies. Raises: Invalid."""
    asked = Asked(action="retry", selection=selection, frozen_at=frozen_at)
    retry = _counted(asked)
    cancel = _counted(Asked(action="cancel", selection=selection, frozen_at=frozen_at))
    fork = _counted(Asked(action="fork", selection=selection, frozen_at=frozen_at))
    return {
        "matched": sum(retry.values()),
        "retry": retry.get("applies", 0) or _applies(_otherwise(asked, retry)),
        "fork": fork.get("applies", 0),
        "cancel": cancel.get("applies", 0),
    }


def _applies(asked: Asked) -> int:
    return _counted(asked).get("applies", 0) if asked.above or asked.with_cancelled else 0


def settled(asked: Asked) -> Asked:
    """Mean what else is there to be retried where nothing that is meant can be: runs above, or cancelled ones."""
    if asked.action != "retry" or asked.with_cancelled:
        return asked
    found = _counted(asked)
    return asked if found.get("applies", 0) else _otherwise(asked, found)


def _otherwise(asked: Asked, found: Mapping[str, int]) -> Asked:
    """Of a selection of child runs the runs at the top are meant; of one of cancelled runs those."""
    if found.get("below", 0):
        return replace(asked, above=True)
    return replace(asked, with_cancelled=bool(found.get("cancelled", 0)))


def applying(asked: Asked) -> QuerySet[Run]:
    """Return the runs that the action applies to, unordered."""
    return _judged(asked).filter(verdict="applies")


def _counted(asked: Asked) -> dict[str, int]:
    meant = _meant(asked)
    if meant.order_by()[: MAX_RUNS + 1].count() > MAX_RUNS:
        raise Invalid(
            f"More than {MAX_RUNS:,} runs match, which is the most for one action. Narrow the filter, by time say.",
            code="too_many_runs",
        )
    found = _judged(asked).order_by().values("verdict").annotate(count=Count("pk"))
    return {row["verdict"]: row["count"] for row in found}


def _judged(asked: Asked) -> QuerySet[Any]:
    """Say of each run whether the action applies to it, or why not."""
    return _meant(asked).annotate(
        verdict=Case(*_cases(asked), default=Value("applies"), output_field=CharField())
    )


def _meant(asked: Asked) -> QuerySet[Run]:
    meant = selections.runs_of(asked.selection, frozen_at=asked.frozen_at)
    return families.at_top(meant) if asked.above else meant


def _cases(asked: Asked) -> list[When]:
    if asked.action == "retry":
        return _retry_cases(asked)
    return _fork_cases(asked) if asked.action == "fork" else _CANCEL_CASES


def _retry_cases(asked: Asked) -> list[When]:
    steps = StepRun.objects.filter(run_id=OuterRef("pk"), superseded=False, state__in=AGAIN)
    cases = [
        When(workflow=CARRIER, then=Value("carrier")),
        When(state="succeeded", then=Value("succeeded")),
        When(pk__in=run_list.unknown_runs(), then=Value("unknown")),
        When(~Q(state__in=AGAIN) | Q(ended_at__gt=asked.frozen_at), then=Value("going")),
        When(deadline_at__lte=asked.frozen_at, then=Value("deadline")),
    ]
    if not asked.with_cancelled:
        cases.append(When(state="cancelled", then=Value("cancelled")))
    cases.append(When(families.IS_BELOW, then=Value("below")))
    return [*cases, When(~Exists(steps), then=Value("output"))]


def _fork_cases(asked: Asked) -> list[When]:
    cases = [
        When(workflow=CARRIER, then=Value("carrier")),
        When(parent__isnull=False, then=Value("child")),
        When(Q(ended_at__isnull=True) | Q(ended_at__gt=asked.frozen_at), then=Value("unended")),
    ]
    if asked.change is not None and asked.change.clean_of is not None:
        used = Taint.objects.filter(quarantine=asked.change.clean_of, run=OuterRef("pk"))
        cases.append(When(~Exists(used), then=Value("clean")))
    return cases


_CANCEL_CASES: Final = [
    When(workflow=CARRIER, then=Value("carrier")),
    When(state__in=states.RUN_ENDED, then=Value("ended")),
    When(stopping="cancelled", then=Value("stopping")),
]


def _with_examples(each: Excluded, asked: Asked) -> Excluded:
    """Name some of the runs that somebody has to do something about."""
    if each.verdict not in ("unknown", "carrier"):
        return each
    found = _judged(asked).filter(verdict=each.verdict).order_by("-created_at", "-id")
    return replace(each, examples=tuple(found.values_list("pk", flat=True)[:SAMPLE]))


def _groups(chosen: QuerySet[Run]) -> tuple[Alike, ...]:
    """Group failures by what makes them alike, the largest first."""
    rows = (
        chosen.order_by()
        .values(
            "error_group",
            *(f"error_group__{name}" for name in ("error_class", "step", "message", "newest_run")),
        )
        .annotate(count=Count("pk"))
        .order_by("-count", "error_group")[:_GROUPS]
    )
    said = error_groups.words(
        {row["error_group__newest_run"]: row["error_group"] for row in rows if row["error_group"]}
    )
    return tuple(
        Alike(
            id=row["error_group"],
            error_class=row["error_group__error_class"] or "",
            step=row["error_group__step"] or "",
            message=said.get(row["error_group"], row["error_group__message"] or ""),
            count=row["count"],
        )
        for row in rows
    )


def _cost(asked: Asked, going: QuerySet[Run]) -> Decimal | None:
    """Sum what the steps that run again cost before; None where nothing is known. Of a fork: of all steps."""
    if asked.action == "cancel":
        return None
    steps = StepRun.objects.filter(run_id__in=going.order_by().values("pk"), superseded=False)
    if asked.action == "retry":
        steps = steps.filter(state__in=AGAIN)
    total: Decimal | None = steps.aggregate(spent=Sum("cost_usd"))["spent"]
    return total
