"""The list of runs: what matches a filter, page by page, with its totals and its histogram."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import (
    BooleanField,
    Case,
    Count,
    ExpressionWrapper,
    IntegerField,
    Q,
    Sum,
    Value,
    When,
)
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from workflows import database, payloads, states
from workflows.models import Definition, Environment, Payload, Release, Run, StepRun
from workflows.queries.run_matching import RunFilter, matching, overdue_steps, unknown_runs

__all__ = [
    "CONTAINERS",
    "NEWER_LIMIT",
    "PAGE",
    "CursorError",
    "RunFilter",
    "RunRow",
    "RunsPage",
    "change_mark",
    "decode_cursor",
    "encode_cursor",
    "environment_names",
    "matching",
    "neighbours",
    "newer",
    "newer_than",
    "older_than",
    "page",
    "release_numbers",
    "shown_state",
    "summary",
    "titles",
    "unknown_runs",
    "workflow_names",
]

PAGE: Final = 50
NEWER_LIMIT: Final = 999
_SUMMARY_BYTES: Final = 4096  # larger outputs are not read for a list
_SUMMARY_CHARS: Final = 90
_RELEASES: Final = 100
CONTAINERS: Final = ("map", "branch", "loop")


class CursorError(ValueError):
    """A cursor that we did not make."""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One line of the list."""

    id: str
    title: str
    workflow: str
    release: int
    state: str  # as shown: a waiting run may be `retrying`, `unknown` or `stuck`
    stored: str  # as it is
    done: int
    total: int
    step: str
    note: str
    failures: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    tokens: int | None
    cost_usd: Decimal | None
    environment: str
    session: str
    tags: tuple[str, ...]
    trigger: str
    created_by: str

    @property
    def duration_s(self) -> float | None:
        """How long it took, from its first step to its end; unknown while it goes on."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True, kw_only=True)
class RunsPage:
    """One page, newest first, and the cursors of its neighbours."""

    rows: tuple[RunRow, ...]
    newer: str | None
    older: str | None


def encode_cursor(created_at: datetime, run_id: str) -> str:
    """Write down a place in the list."""
    return base64.urlsafe_b64encode(f"{created_at.isoformat()} {run_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """Read a place in the list. Raises: CursorError."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        moment, run_id = text.split(" ")
        created_at = datetime.fromisoformat(moment)
    except (ValueError, binascii.Error, UnicodeError):
        raise CursorError("This cursor was not made by this list: start again without it.") from None
    if created_at.tzinfo is None or "\0" in run_id:
        raise CursorError("This cursor was not made by this list: start again without it.")
    return created_at, run_id


def page(
    chosen: RunFilter, *, after: str = "", before: str = "", upto: str = "", limit: int = PAGE
) -> RunsPage:
    """Return one page: the newest, or the one after (older than) or before (newer than) a cursor.

    `upto`: the newest page as it was when its first run stood at this cursor.

    Raises: CursorError.
    """
    runs = matching(chosen).select_related("release")
    if before:
        found = list(
            runs.filter(newer_than(*decode_cursor(before))).order_by("created_at", "id")[: limit + 1]
        )
        more_newer, more_older = len(found) > limit, True
        found = found[:limit][::-1]
    else:
        if upto and not after:
            moment, run_id = decode_cursor(upto)
            runs = runs.filter(Q(created_at__lt=moment) | Q(id__lte=run_id), created_at__lte=moment)
        if after:
            runs = runs.filter(older_than(*decode_cursor(after)))
        found = list(runs.order_by("-created_at", "-id")[: limit + 1])
        more_newer, more_older = bool(after), len(found) > limit
        found = found[:limit]
    if not found:
        return RunsPage(rows=(), newer=None, older=None)
    first, last = found[0], found[-1]
    return RunsPage(
        rows=_rows(found),
        newer=encode_cursor(first.created_at, first.id) if more_newer else None,
        older=encode_cursor(last.created_at, last.id) if more_older else None,
    )


def newer(chosen: RunFilter, *, than: str) -> int:
    """Count the matching runs that are newer than a cursor, up to `NEWER_LIMIT` and one more. Raises: CursorError."""
    return matching(chosen).filter(newer_than(*decode_cursor(than))).order_by()[: NEWER_LIMIT + 1].count()


def neighbours(chosen: RunFilter, run: Run) -> tuple[str | None, str | None]:
    """Return the ids of the next newer and the next older run that match, beside one that need not match itself."""
    runs, here = matching(chosen), run.created_at
    newer = runs.filter(newer_than(here, run.id)).order_by("created_at", "id")
    older = runs.filter(older_than(here, run.id)).order_by("-created_at", "-id")
    return newer.values_list("id", flat=True).first(), older.values_list("id", flat=True).first()


def newer_than(moment: datetime, run_id: str) -> Q:
    """Say of a run that it stands before this place in the list."""
    # The first condition is what an index can be walked by.
    return Q(created_at__gte=moment) & (Q(created_at__gt=moment) | Q(id__gt=run_id))


def older_than(moment: datetime, run_id: str) -> Q:
    """Say of a run that it stands after this place in the list."""
    return Q(created_at__lte=moment) & (Q(created_at__lt=moment) | Q(id__lt=run_id))


def _rows(runs: list[Run]) -> tuple[RunRow, ...]:
    progress = _progress([run.id for run in runs])
    current = _current_steps([run.id for run in runs if run.state not in {"succeeded", "cancelled"}])
    results = _small_values({run.id: run.output_hash for run in runs if run.state == "succeeded"})
    named = titles(runs)
    return tuple(
        _row(run, named[run.id], progress.get(run.id, {}), current.get(run.id), summary(results.get(run.id)))
        for run in runs
    )


def _row(run: Run, title: str, progress: dict[str, Any], step: StepRun | None, result: str) -> RunRow:
    error = run.error or (step.error if step else None) or {}
    totals: dict[str, Any] = run.tokens or {}
    known = [totals[name] for name in ("input", "output") if totals.get(name) is not None]
    return RunRow(
        id=run.id,
        title=title,
        workflow=run.workflow,
        release=run.release.number,
        state=shown_state(
            run.state,
            step.state if step else "",
            step.reason if step else "",
            overdue=bool(step and step.overdue),  # type: ignore[attr-defined]
        ),
        stored=run.state,
        done=progress.get("done", 0),
        total=progress.get("total", 0),
        step=(run.error or {}).get("step") or (step.path if step else ""),
        note=error.get("message") or result,
        failures=step.failures if step else 0,
        created_at=run.created_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        tokens=sum(known) if known else progress.get("tokens"),
        cost_usd=run.cost_usd if run.ended_at else progress.get("cost_usd"),
        environment=run.environment_id,
        session=run.session or "",
        tags=tuple(run.tags),
        trigger=run.trigger,
        created_by=run.created_by,
    )


def shown_state(run_state: str, step_state: str, step_reason: str, *, overdue: bool = False) -> str:
    """Return the state that a run is shown in, by the step that it stands at."""
    if run_state in states.RUN_ACTIVE and step_state == "unknown":
        return "unknown"
    if run_state in states.RUN_ACTIVE and overdue:
        return "stuck"
    if run_state in {"running", "waiting"} and step_state == "waiting" and step_reason == "retry":
        return "retrying"
    return run_state


def _progress(run_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Count the steps of the definition's first level, and sum what they used so far."""
    tokens = [
        Cast(KeyTextTransform(name, "tokens"), output_field=IntegerField()) for name in ("input", "output")
    ]
    rows = (
        StepRun.objects.filter(run_id__in=run_ids, superseded=False)
        .values("run_id")
        .annotate(
            total=Count("id", filter=Q(parent=None)),
            done=Count("id", filter=Q(parent=None, state__in=states.STEP_DONE)),
            spent=Sum("cost_usd"),
            tokens_used=Sum(tokens[0] + tokens[1]),
        )
        .order_by()
    )
    return {
        row["run_id"]: {
            "total": row["total"],
            "done": row["done"],
            "cost_usd": row["spent"],
            "tokens": row["tokens_used"],
        }
        for row in rows
    }


_RANKED: Final = ("unknown", "failed", "running", "waiting", "ready")


def _rank() -> Case:
    """Say which step a run stands at: the lowest. What is due and not done comes before what goes on."""
    worst = [When(state="unknown", then=Value(0)), When(overdue_steps(), then=Value(1))]
    rest = [When(state=state, then=Value(rank)) for rank, state in enumerate(_RANKED, 2)]
    return Case(*worst, *rest, default=Value(9), output_field=IntegerField())


def _current_steps(run_ids: list[str]) -> dict[str, StepRun]:
    """Return the step that each run stands at: what failed, else what runs, waits, or is next."""
    steps = (
        StepRun.objects.filter(
            run_id__in=run_ids,
            superseded=False,
            state__in=_RANKED,
        )
        .exclude(kind__in=CONTAINERS)
        .alias(rank=_rank())
        .annotate(overdue=ExpressionWrapper(overdue_steps(), output_field=BooleanField()))
        .order_by("run_id", "rank", "ordinal", "id")
        .distinct("run_id")
        .only("run_id", "path", "state", "reason", "error", "failures")
    )
    return {step.run_id: step for step in steps}


def titles(runs: Sequence[Run]) -> dict[str, str]:
    """Name each run: its title, else the longest text of its input, else its id."""
    asked = _small_values({run.id: run.input_hash for run in runs if not run.title})
    told = {name: max(_texts(value), key=len, default="") for name, value in asked.items()}
    return {run.id: run.title or summary(told.get(run.id)) or run.id for run in runs}


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _small_values(hashes: Mapping[str, bytes | memoryview | None]) -> dict[str, Any]:
    """Return payloads, where they are small enough to be read for a list."""
    keys = {name: bytes(key) for name, key in hashes.items() if key is not None}
    small = Payload.objects.filter(hash__in=keys.values(), size__lte=_SUMMARY_BYTES)
    values = payloads.kept(bytes(key) for key in small.values_list("hash", flat=True))
    return {name: values[key.hex()] for name, key in keys.items() if key.hex() in values}


def summary(value: object) -> str:
    """Say a JSON value in one short line: its texts and numbers, in order."""
    words = " · ".join(_scalars(value))
    words = " ".join(payloads.clean_text(words, limit=10 * _SUMMARY_CHARS).split())
    return words if len(words) <= _SUMMARY_CHARS else words[: _SUMMARY_CHARS - 1] + "…"


def _scalars(value: object) -> Iterable[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _scalars(inner)
    elif isinstance(value, list):
        yield f"{len(value)} items"
    elif isinstance(value, bool):
        yield "yes" if value else "no"
    elif value is not None and value != "":
        yield str(value)


def change_mark() -> int:
    """Return a number that grows whenever anything happens to any run: one look at an index."""
    newest: int = database.fetch_all("SELECT coalesce(max(seq), 0) FROM workflows_journalevent", [])[0][0]
    return newest


def workflow_names() -> list[str]:
    """List the names of the workflows that there are."""
    names = Definition.objects.filter(kind="Workflow", archived_at=None).order_by("name")
    return list(names.values_list("name", flat=True))


def environment_names() -> list[str]:
    """List the names of the environments that there are."""
    return list(Environment.objects.order_by("name").values_list("name", flat=True))


def release_numbers(workflow: str) -> list[int]:
    """List the numbers of a workflow's releases, the newest first; of all workflows without a name."""
    releases = Release.objects.filter(workflow=workflow) if workflow else Release.objects.all()
    return list(releases.order_by("-number").values_list("number", flat=True).distinct()[:_RELEASES])
