"""Prune: delete what is past its time, in small batches; or say what would be deleted.

Safe to kill at any point and to run twice at once. Every batch is a transaction of its own; between two of them the
caller may rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from retrieval import collecting
from workflows import audit
from workflows.actor import SYSTEM, Actor
from workflows.duties import Duty
from workflows.models import Environment, Prune
from workflows.retention import batches, corpora, marking, policy, removing, selecting, sweeping
from workflows.retention.marking import Without
from workflows.retention.policy import Terms
from workflows.retention.report import Report
from workflows.retention.selecting import Tree

Pause = Callable[[], None]
EVERY: Final = timedelta(days=1)
# A prune that was killed is begun again after so long.
_KILLED_AFTER: Final = timedelta(hours=1)
_SLICE: Final = 500
_LONGEST_REST_S: Final = 5.0


def no_pause() -> None:
    """Go on at once."""


class Gently:
    """A pause as long as the batch before it took, so that a prune uses half of what one connection can do."""

    def __init__(self) -> None:
        self.went_on = time.monotonic()

    def __call__(self) -> None:
        time.sleep(min(_LONGEST_REST_S, time.monotonic() - self.went_on))
        self.went_on = time.monotonic()


def terms() -> dict[str, Terms]:
    """Return the environments in which anything is ever deleted, with their terms."""
    return policy.of_all(list(Environment.objects.order_by("name").values_list("name", flat=True)))


def untouched_since(found: dict[str, Terms], *, now: datetime) -> datetime:
    """Return the moment before which values have to be touched last to be looked at: the shortest time, or a day.

    Nothing that is due later can be missed: it is looked at when its time has come.
    """
    shortest = min(days for each in found.values() if (days := each.shortest()) is not None)
    return now - max(policy.GRACE, timedelta(days=shortest))


def prune(*, actor: Actor, now: datetime, pause: Pause = no_pause) -> Report:
    """Delete what is past its time; return what was deleted. `pause` is called after every batch."""
    report, found = Report(), terms()
    if not found:
        return report
    record = Prune.objects.create(by=str(actor))
    for what, count in _removals(found, report, now=now):
        report.add(what, count)
        if count:
            Prune.objects.filter(pk=record.pk).update(removed=dict(report.counts), bytes=report.bytes)
            pause()
    removing.forget_notes()
    _close(record, report, actor=actor)
    return report


def _close(record: Prune, report: Report, *, actor: Actor) -> None:
    with transaction.atomic():
        record.removed, record.bytes, record.ended_at = dict(report.counts), report.bytes, timezone.now()
        record.save(update_fields=["removed", "bytes", "ended_at"])
        if report.counts or actor != SYSTEM:
            data = {**report.counts, "bytes": report.bytes}
            audit.record(actor, "retention.prune", "prune", str(record.pk), data=data)


def _removals(found: dict[str, Terms], report: Report, *, now: datetime) -> Iterator[tuple[str, int]]:
    """Remove batch by batch: (what, how many) of each."""
    for name, each in found.items():
        for part in _parts(selecting.trees(selecting.to_delete(name, each, now=now))):
            yield "runs", removing.delete(part)
        for part in _parts(selecting.trees(selecting.to_archive(name, each, now=now))):
            yield "archived", removing.archive(part)
    seen: frozenset[str] = frozenset()
    while (ids := removing.to_empty()) and not seen.issuperset(ids):  # else something stays locked
        seen |= frozenset(ids)
        yield from removing.empty(ids)
    for bulk in removing.bulk_actions():
        removing.delete_bulk_action(bulk)
        yield "bulk_actions", 1
    before = untouched_since(found, now=now)
    for corpus in collecting.corpora_to_collect():
        yield "snapshots", corpora.collect(corpus, before=before)
        yield from corpora.drop(corpus)
    yield from _values(report, before)


def _parts(found: Iterator[list[Tree]]) -> Iterator[list[Tree]]:
    for chosen in found:
        yield from removing.packed(chosen)


def _values(report: Report, before: datetime) -> Iterator[tuple[str, int]]:
    for shas in sweeping.uploads_of_nobody(before):
        swept = sweeping.drop_uploads(shas, before=before)
        report.bytes += swept.bytes
        yield "uploads", swept.count
    found = marking.marks(before)
    for hashes in sweeping.payloads_of_nobody(before, found):
        swept = sweeping.drop_payloads(hashes, before=before)
        report.bytes += swept.bytes
        yield "payloads", swept.count


def survey(*, now: datetime) -> Report:
    """Say what a prune would delete now. Changes nothing."""
    report, found = Report(), terms()
    if not found:
        return report
    deleted, archived = _due(found, now=now)
    ids = [run for tree in deleted for run in tree.runs]
    gone = Without(
        deleted=frozenset(ids),
        archived=frozenset(run for tree in archived for run in tree.runs).difference(ids),
        memory=frozenset(removing.memory_of(deleted)),
    )
    report.add("runs", len(gone.deleted))
    report.add("archived", len(gone.archived))
    for part in batches.slices([*ids, *removing.all_to_empty()], _SLICE):
        for what, count in removing.left_by(part):
            report.add(what, count)
    for what, count in removing.of_memory(sorted(gone.memory)):
        report.add(what, count)
    report.add("bulk_actions", len(removing.bulk_actions(ids)))
    _survey_values(report, gone, untouched_since(found, now=now))
    return report


def _due(found: dict[str, Terms], *, now: datetime) -> tuple[list[Tree], list[Tree]]:
    deleted: list[Tree] = []
    archived: list[Tree] = []
    for name, each in found.items():
        deleted += [
            tree for part in selecting.trees(selecting.to_delete(name, each, now=now)) for tree in part
        ]
        archived += [
            tree for part in selecting.trees(selecting.to_archive(name, each, now=now)) for tree in part
        ]
    return deleted, archived


def _survey_values(report: Report, gone: Without, before: datetime) -> None:
    runs = list(gone.runs)
    for corpus in collecting.corpora_to_collect():
        numbers = corpora.to_collect(corpus, before=before, without=runs)
        report.add("snapshots", len(numbers))
        for what, count in corpora.would_drop(corpus, numbers):
            report.add(what, count)
    for shas in sweeping.uploads_of_nobody(before, without=runs):
        swept = sweeping.weigh_uploads(shas)
        report.add("uploads", swept.count)
        report.bytes += swept.bytes
    found = marking.marks(before, without=gone)
    for hashes in sweeping.payloads_of_nobody(before, found):
        swept = sweeping.weigh_payloads(hashes)
        report.add("payloads", swept.count)
        report.bytes += swept.bytes


def is_due(*, now: datetime) -> bool:
    """Say whether the clock has to prune: retention is set, and the last prune that ended began a day ago."""
    if not policy.is_set():
        return False
    done = Prune.objects.filter(began_at__gt=now - EVERY, ended_at__isnull=False)
    going = Prune.objects.filter(began_at__gt=now - _KILLED_AFTER, ended_at__isnull=True)
    return not done.exists() and not going.exists()


def _prune_daily() -> None:
    now = timezone.now()
    if is_due(now=now):
        prune(actor=SYSTEM, now=now, pause=Gently())


_duty: Final = Duty("prune", _prune_daily)


def tend() -> None:
    """Prune once a day, in a thread of its own."""
    _duty.begin()
