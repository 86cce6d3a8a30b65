"""Which runs a bulk action means: a frozen filter, runs picked one by one, or a part of an earlier action.

As JSON and back, and as a query. Knows nothing of what is to be done with the runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from django.db.models import QuerySet
from pydantic import TypeAdapter, ValidationError

from workflows.errors import Invalid
from workflows.models import BulkItem, Run
from workflows.payloads import clean_text
from workflows.queries import run_list
from workflows.queries.run_list import RunFilter

Json = Any
Part = Literal["pending", "failed"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
# More than this are named by a filter.
MAX_PICKED: Final = 1000


@dataclass(frozen=True)
class Matching:
    """Every run that a filter matches and that existed when the action was frozen."""

    filter: RunFilter


@dataclass(frozen=True)
class Picked:
    """Runs by their ids."""

    ids: tuple[str, ...]


@dataclass(frozen=True)
class Rest:
    """What an earlier action left: runs that it did not come to, or those that failed again after it."""

    bulk: str
    part: Part


Selection = Matching | Picked | Rest
_FILTER: Final = TypeAdapter(RunFilter)


def as_json(selection: Selection) -> dict[str, Json]:
    """Write a selection down; fields of the filter that do not narrow are left out."""
    if isinstance(selection, Matching):
        return {"filter": _FILTER.dump_python(selection.filter, mode="json", exclude_defaults=True)}
    if isinstance(selection, Picked):
        return {"ids": list(selection.ids)}
    return {"bulk": selection.bulk, "part": selection.part}


def from_json(written: dict[str, Json]) -> Selection:
    """Read what `as_json` wrote. Raises: Invalid for a filter that this version does not know."""
    if "ids" in written:
        return Picked(tuple(written["ids"]))
    if "bulk" in written:
        return Rest(written["bulk"], written["part"])
    try:
        return Matching(_FILTER.validate_python(written["filter"]))
    except ValidationError as error:
        raise Invalid(
            f"The stored filter is not one of this version: {clean_text(str(error), limit=200)}",
            code="filter_unknown",
        ) from error


def picked(ids: list[str]) -> Picked:
    """Return the runs that somebody named. Raises: Invalid when there is none, or too many."""
    unique = tuple(dict.fromkeys(each for each in ids if each and "\0" not in each))
    if not unique:
        raise Invalid("No run is named.", code="nothing_selected")
    if len(unique) > MAX_PICKED:
        raise Invalid(
            f"{len(unique):,} runs are named one by one; {MAX_PICKED:,} are allowed. Use a filter.",
            code="too_many_runs",
        )
    return Picked(unique)


def runs_of(selection: Selection, *, frozen_at: datetime) -> QuerySet[Run]:
    """Return the runs that are meant, unordered."""
    if isinstance(selection, Matching):
        return run_list.matching(selection.filter).filter(created_at__lte=frozen_at)
    if isinstance(selection, Picked):
        return Run.objects.filter(pk__in=selection.ids)
    items = BulkItem.objects.filter(bulk=selection.bulk)
    if selection.part == "pending":
        return Run.objects.filter(pk__in=items.filter(outcome="pending").values("run_id"))
    done = items.filter(outcome="done").values("run_id")
    return Run.objects.filter(pk__in=done, state="failed")
