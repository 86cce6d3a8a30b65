"""Runs as the API shows them, read in a fixed number of queries however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from django.db.models import BigIntegerField, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from typing_extensions import TypedDict

from console.api import asking, shapes
from workflows import payloads, quarantine
from workflows.models import Run, StepRun, Taint
from workflows.models.runs import PRIORITIES

State = Literal["queued", "running", "waiting", "paused", "succeeded", "failed", "cancelled"]
PRIORITY_NAMES: dict[int, str] = {number: name for name, number in PRIORITIES.items()}
_TOKEN_KINDS = ("input", "cached", "output", "reasoning")


class Links(TypedDict):
    """Addresses of what belongs to a run."""

    self: str
    steps: str
    journal: str
    calls: str


class RunShape(TypedDict):
    """One run. Its input and output are as JSON came; totals grow while it goes on.

    `rollout`: the one that went on when it was started, and `arm`, which release that gave it. `tainted_by`: the
    quarantines that hold of what it used. `archived_at`: since then its input and output, and all
    other values, are deleted, and null here.
    """

    id: str
    title: str
    trigger: str
    workflow: str
    release: int
    environment: str
    state: State
    input: Any
    output: Any
    error: shapes.RunError | None
    snapshots: dict[str, int]
    session: str | None
    tags: list[str]
    priority: str
    cost_usd: str | None
    tokens: shapes.Tokens
    created_at: str
    started_at: str | None
    ended_at: str | None
    archived_at: str | None
    parent: str | None
    forked_from: str | None
    rollout: int | None
    arm: Literal["candidate", "stable"] | None
    tainted_by: list[int]
    links: Links


class RunPage(TypedDict):
    """Runs, newest first."""

    results: list[RunShape]
    next: str | None


def of_runs(runs: Sequence[Run]) -> list[RunShape]:
    """Write runs; their releases are expected to be there already (`select_related`)."""
    kept = [run for run in runs if run.archived_at is None]
    values = payloads.load([key for run in kept for key in (run.input_hash, run.output_hash) if key])
    going = _totals([run.id for run in runs if run.started_at is not None and run.ended_at is None])
    taints = quarantine.tainted([run.id for run in runs if run.started_at is not None])
    return [_shape(run, values, going.get(run.id), taints.get(run.id, ())) for run in runs]


def of_run(run: Run) -> RunShape:
    """Write one run."""
    return of_runs([run])[0]


def address(run_id: str) -> str:
    """Return where a run is found."""
    return f"/api/v1/runs/{run_id}"


def _shape(
    run: Run,
    values: Mapping[str, Any],
    going: tuple[Decimal | None, dict[str, int]] | None,
    taints: Sequence[Taint],
) -> RunShape:
    cost_usd, used = going if going is not None else (run.cost_usd, run.tokens)
    here = address(run.id)
    return RunShape(
        id=run.id,
        title=run.title,
        trigger=run.trigger,
        workflow=run.workflow,
        release=run.release.number,
        environment=run.environment_id,
        state=run.state,  # type: ignore[typeddict-item]  # a constraint of the table
        input=_value(values, run.input_hash),
        output=_value(values, run.output_hash),
        error=shapes.run_error(run.error),
        snapshots=run.pins,
        session=run.session,
        tags=run.tags,
        priority=PRIORITY_NAMES.get(run.priority, "normal"),
        cost_usd=shapes.money(cost_usd),
        tokens=shapes.tokens(used),
        created_at=asking.moment(run.created_at) or "",
        started_at=asking.moment(run.started_at),
        ended_at=asking.moment(run.ended_at),
        archived_at=asking.moment(run.archived_at),
        parent=run.parent_id,
        forked_from=run.forked_from_id,
        rollout=run.rollout_id,
        arm=run.arm or None,  # type: ignore[typeddict-item]  # as `traffic` names them
        tainted_by=[taint.quarantine_id for taint in taints],
        links=Links(self=here, steps=f"{here}/steps", journal=f"{here}/journal", calls=f"{here}/calls"),
    )


def _value(values: Mapping[str, Any], key: bytes | memoryview | None) -> Any:
    return values.get(bytes(key).hex()) if key is not None else None


def _totals(run_ids: Sequence[str]) -> dict[str, tuple[Decimal | None, dict[str, int]]]:
    """Sum what runs that go on have used so far; one query, and none where all have ended."""
    if not run_ids:
        return {}
    sums = {
        kind: Sum(Cast(KeyTextTransform(kind, "tokens"), output_field=BigIntegerField()))
        for kind in _TOKEN_KINDS
    }
    rows = (
        StepRun.objects.filter(run_id__in=run_ids)
        .order_by()
        .values("run_id")
        .annotate(spent=Sum("cost_usd"), **{f"sum_{kind}": total for kind, total in sums.items()})
    )
    found: Iterable[Mapping[str, Any]] = rows
    return {
        row["run_id"]: (row["spent"], {kind: row[f"sum_{kind}"] or 0 for kind in _TOKEN_KINDS})
        for row in found
    }
