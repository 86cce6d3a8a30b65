"""Saved views of the runs list: whose they are, who may change them, how many runs each matches.

The only writer of `SavedView`. What a query string means is for `forms/run_filter.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.core.cache import cache
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone

from console.forms import run_filter
from console.models import SavedView, User
from workflows.queries import run_totals

MOST: Final = 20  # of one person; more tabs would not be found again
SHOWN: Final = 40
_NAME_CHARS: Final = 60
_COUNT_KEPT_S: Final = 600
_COUNT_FRESH_S: Final = 20
_COUNT_FOR_MS: Final = 2_000  # one view that is slow to count must not keep the others waiting


class SavedViewError(ValueError):
    """What was asked for cannot be kept; the text says why."""


@dataclass(frozen=True)
class Counted:
    """How many runs a view matched, and when that was; `runs` is None where counting took too long."""

    runs: int | None
    at: float

    @property
    def fresh(self) -> bool:
        """Say whether it need not be counted again yet."""
        return timezone.now().timestamp() - self.at < _COUNT_FRESH_S


def listed(person: User) -> list[SavedView]:
    """List a person's own views and those that others share, in the order in which they were made."""
    views = SavedView.objects.filter(Q(owner=person) | Q(shared=True)).select_related("owner")
    return list(views.order_by("created_at", "pk")[:SHOWN])


def own(person: User, view_id: int) -> SavedView | None:
    """Return one of the person's own views."""
    return SavedView.objects.filter(owner=person, pk=view_id).first()


def create(person: User, name: str, *, query: str, shared: bool) -> SavedView:
    """Keep a filter under a name. Raises: SavedViewError."""
    if SavedView.objects.filter(owner=person).count() >= MOST:
        raise SavedViewError(f"You have {MOST} saved views already: delete one of them first.")
    return _save(SavedView(owner=person), name, query=query, shared=shared)


def change(view: SavedView, name: str, *, query: str, shared: bool) -> SavedView:
    """Give a view another name, filter or audience. Raises: SavedViewError."""
    return _save(view, name, query=query, shared=shared)


def _save(view: SavedView, name: str, *, query: str, shared: bool) -> SavedView:
    view.name = " ".join(name.replace("\0", "").split())
    if not view.name:
        raise SavedViewError("Give the view a name.")
    if len(view.name) > _NAME_CHARS:
        raise SavedViewError(f"The name may have {_NAME_CHARS} characters; this one has {len(view.name)}.")
    asked = run_filter.parse(QueryDict(query))
    if asked.problems:
        raise SavedViewError(f"This filter cannot be kept: {asked.problems[0]}")
    view.query, view.shared = asked.address(view="")[1:], shared
    try:
        with transaction.atomic():
            view.save()
    except IntegrityError:
        raise SavedViewError(f"You have a view named “{view.name}” already: take another name.") from None
    return view


def delete(view: SavedView) -> None:
    """Forget a view. The runs stay as they are."""
    view.delete()


def known_counts(views: Iterable[SavedView]) -> dict[int, Counted]:
    """Return the counts of views that are known already; nothing is counted."""
    keys = {_count_key(view): view.pk for view in views}
    return {keys[key]: counted for key, counted in cache.get_many(keys).items()}


def count(views: Iterable[SavedView]) -> dict[int, Counted]:
    """Count what each view matches now, up to `run_totals.COUNT_LIMIT` and one more."""
    views = list(views)
    known = {pk: counted for pk, counted in known_counts(views).items() if counted.fresh}
    for view in views:
        if view.pk not in known:
            known[view.pk] = Counted(_count(view), timezone.now().timestamp())
            cache.set(_count_key(view), known[view.pk], timeout=_COUNT_KEPT_S)
    return known


def _count(view: SavedView) -> int | None:
    chosen = run_filter.parse(QueryDict(view.query)).filter(timezone.now())
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(_COUNT_FOR_MS)])
            return run_totals.count(chosen)
    except DatabaseError:
        return None


def _count_key(view: SavedView) -> str:
    text = f"{view.query} {timezone.get_current_timezone_name()}"
    return "saved-view-" + hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
