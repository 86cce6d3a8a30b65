"""Put failed runs into the groups of their errors: off the engine's way, a little after they failed.

Each failure counts once, by its run and the moment of its end. A run that is led on leaves its group (recovery), and
joins one anew if it fails again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from django.db import transaction
from django.db.models import Count, F, QuerySet
from django.db.models.functions import Greatest, Least

from workflows import database
from workflows.duties import Duty
from workflows.failures import fingerprints
from workflows.failures.fingerprints import Print
from workflows.models import Call, ErrorGroup, ErrorSighting, Run

Json = Any
BATCH: Final = 2000
# Messages that differ without end, such as what a model answered, would make a group each.
MOST_ALIKE: Final = 50
MANY: Final = "Many different messages"


_ANY: Final = """
SELECT 1 FROM workflows_run WHERE state = 'failed' AND error_group_id IS NULL AND trigger <> 'import' LIMIT 1
"""


def tend() -> None:
    """Group what has failed since the last time, in a thread of its own. A duty of the engine's clock."""
    if database.fetch_all(_ANY, []):
        _DUTY.begin()


def settle(*, rounds: int = 10) -> None:
    """Group all that has failed, up to `rounds` portions."""
    while rounds and _waiting().exists():
        catch_up()
        rounds -= 1


def _waiting() -> QuerySet[Run]:
    # As the index of runs without a group says it.
    return Run.objects.filter(state="failed", error_group=None).exclude(trigger="import")


def catch_up(limit: int = BATCH) -> int:
    """Group up to `limit` failed runs; return how many there were."""
    with transaction.atomic():
        runs = list(
            _waiting()
            .order_by("ended_at")
            .select_for_update(of=("self",), skip_locked=True, no_key=True)
            .only("id", "workflow", "error", "ended_at")[:limit]
        )
        if runs:
            _sort(runs)
    return len(runs)


_DUTY: Final = Duty("error groups", catch_up)


def _sort(runs: Sequence[Run]) -> None:
    prints = _prints(runs)
    groups = _groups(set(prints.values()))
    members: dict[int, list[Run]] = defaultdict(list)
    for run in runs:
        members[groups[prints[run.pk]].pk].append(run)
    by_pk = {group.pk: group for group in groups.values()}
    for pk, found in sorted(members.items()):
        _join(by_pk[pk], found)


def _prints(runs: Sequence[Run]) -> dict[str, Print]:
    providers = _providers(runs)
    return {
        run.pk: fingerprints.of(
            workflow=run.workflow,
            step=_said(run, "step"),
            error_class=_said(run, "class"),
            provider=providers.get((run.pk, _said(run, "step")), ""),
            message=_said(run, "message"),
        )
        for run in runs
    }


def _said(run: Run, name: str) -> str:
    return str((run.error or {}).get(name) or "")


def _providers(runs: Sequence[Run]) -> Mapping[tuple[str, str], str]:
    """Return the provider that each failed step asked last."""
    failed = Call.objects.filter(run__in=[run.pk for run in runs], step_run__state="failed")
    rows = failed.order_by("pk").values_list("run_id", "step_run__path", "provider")
    return {(run, path): provider for run, path, provider in rows}


def _groups(wanted: set[Print]) -> dict[Print, ErrorGroup]:
    """Return the group of each print; groups that are not there yet are made."""
    told = _folded(wanted)
    digests = {each.digest(): each for each in told.values()}
    ErrorGroup.objects.bulk_create(
        [
            ErrorGroup(
                fingerprint=digest,
                workflow=each.workflow,
                step=each.step,
                error_class=each.error_class,
                provider=each.provider,
                message=each.message,
            )
            for digest, each in sorted(digests.items())
        ],
        ignore_conflicts=True,
    )
    found = {
        bytes(group.fingerprint): group
        for group in ErrorGroup.objects.filter(fingerprint__in=list(digests)).select_for_update(no_key=True)
    }
    return {each: found[kept.digest()] for each, kept in told.items()}


def _folded(wanted: set[Print]) -> dict[Print, Print]:
    """Say which print each one counts under: where a step has failed with too many different messages, under none."""
    digests = {each.digest(): each for each in wanted}
    known = ErrorGroup.objects.filter(fingerprint__in=list(digests)).values_list("fingerprint", flat=True)
    there = {digests[bytes(digest)] for digest in known}
    alike = Counter(_alike(wanted))
    told: dict[Print, Print] = {each: each for each in there}
    for each in sorted(wanted - there, key=lambda each: each.digest()):
        alike[_place(each)] += 1
        told[each] = each if alike[_place(each)] <= MOST_ALIKE else replace(each, message=MANY)
    return told


def _alike(wanted: set[Print]) -> Mapping[tuple[str, ...], int]:
    """Count the groups that differ from those wanted in their message alone."""
    places = ErrorGroup.objects.filter(workflow__in={each.workflow for each in wanted}).filter(
        step__in={each.step for each in wanted}
    )
    rows = places.values_list("workflow", "step", "error_class", "provider").annotate(count=Count("pk"))
    return {
        (workflow, step, error_class, provider): count
        for workflow, step, error_class, provider, count in rows
    }


def _place(of: Print) -> tuple[str, ...]:
    return of.workflow, of.step, of.error_class, of.provider


def _join(group: ErrorGroup, runs: Sequence[Run]) -> None:
    ended = {run.pk: run.ended_at for run in runs if run.ended_at is not None}
    ErrorSighting.objects.bulk_create(
        [ErrorSighting(group=group, run_id=pk, at=at) for pk, at in ended.items()], ignore_conflicts=True
    )
    Run.objects.filter(pk__in=list(ended)).update(error_group=group)
    first, last = min(ended.values()), max(ended.values())
    back = group.state == "resolved" and group.resolved_at is not None and last > group.resolved_at
    ErrorGroup.objects.filter(pk=group.pk).update(
        seen=F("seen") + len(runs),
        first_seen=Least(F("first_seen"), first),
        last_seen=Greatest(F("last_seen"), last),
        newest_run=max(ended, key=lambda pk: ended[pk]),
        **({"state": "open", "came_back_at": last} if back else {}),
    )
