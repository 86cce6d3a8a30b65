"""Quarantine: take a piece of state out of use, find the runs that used it, and let it back in.

From then on a search skips the document, new runs pin the last clean snapshot, memory falls back to the last clean
version, and nothing is put on a release that holds the prompt or tool, itself or in a child workflow. What has run is
marked, never changed. What a provider answered in a window is only marked: nothing is taken out of use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from retrieval import quarantine as documents
from retrieval import snapshots
from workflows import audit, database, pieces
from workflows.actor import Actor
from workflows.duties import Duty
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.models import (
    Deployment,
    MemoryVersion,
    Quarantine,
    Release,
    Run,
    Taint,
)
from workflows.models.quarantines import KINDS
from workflows.payloads import clean_text
from workflows.releases import closure

Json = Any
# After a look for runs the next one waits this many times as long as it took: it may go over many rows.
_RESTS: Final = 20
# What a quarantine of this kind says of releases: nothing is put on those that hold it.
_HELD: Final = {"prompt": "prompts", "tool": "tools"}
_OF_RELEASES: Final = ("release", *_HELD)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is to be quarantined. `since` and `until` are a provider's window."""

    kind: str
    ref: str
    reason: str
    since: datetime | None = None
    until: datetime | None = None


def impose(ask: Ask, *, actor: Actor) -> Quarantine:
    """Quarantine a piece of state and mark the runs that used it.

    Raises:
        UnknownObject: there is no such piece of state.
        Conflict: it is quarantined already.
        Invalid: the kind, the window or the reason is wrong.
    """
    _check(ask)
    try:
        with transaction.atomic():
            made = Quarantine.objects.create(
                kind=ask.kind,
                ref=ask.ref,
                since=ask.since,
                until=ask.until,
                reason=clean_text(ask.reason, limit=1000),
                created_by=str(actor),
            )
            _exclude(made, actor)
            marked = mark(made)
            data = {"kind": ask.kind, "ref": ask.ref, "runs": marked}
            audit.record(
                actor, "quarantine.impose", "quarantine", str(made.pk), reason=made.reason, data=data
            )
    except IntegrityError:
        raise Conflict(f"{ask.kind} {ask.ref} is quarantined already.", code="already_quarantined") from None
    made.refresh_from_db()
    return made


def release(quarantine_id: int, *, actor: Actor, reason: str) -> Quarantine:
    """Let a piece of state back in. Runs stay marked as they are: they used it while it was not trusted.

    Raises:
        UnknownObject: no such quarantine.
        Conflict: it was released before.
        Invalid: no reason is given.
    """
    if not reason.strip():
        raise Invalid("A reason is needed; it goes to the audit log.", code="reason_missing")
    get(quarantine_id)
    with transaction.atomic():
        found = Quarantine.objects.select_for_update().get(pk=quarantine_id)
        if found.released_at is not None:
            raise Conflict(f"Quarantine {quarantine_id} was released before.", code="already_released")
        mark(found)
        found.released_at, found.released_by = timezone.now(), str(actor)
        found.release_reason = clean_text(reason, limit=1000)
        found.save(update_fields=["released_at", "released_by", "release_reason"])
        MemoryVersion.objects.filter(quarantine=found).update(quarantine=None)
        if found.kind == "document":
            _lift_document(found, actor)
        audit.record(
            actor, "quarantine.release", "quarantine", str(quarantine_id), reason=found.release_reason
        )
    return found


def get(quarantine_id: int) -> Quarantine:
    """Return a quarantine. Raises: UnknownObject."""
    found = Quarantine.objects.filter(pk=quarantine_id).first()
    if found is None:
        raise UnknownObject(f"There is no quarantine {quarantine_id}.", code="unknown_quarantine")
    return found


def mark(quarantine: Quarantine) -> int:
    """Mark the runs that used it, those that began since the last look too; return how many are new.

    One that was released meanwhile is left alone: what tainted runs remembered would be out of use for good.
    """
    with transaction.atomic():
        held = Quarantine.objects.select_for_update(no_key=True).filter(pk=quarantine.pk, released_at=None)
        return 0 if held.first() is None else _mark(quarantine)


def _mark(quarantine: Quarantine) -> int:
    provider, _, model = quarantine.ref.partition("/") if quarantine.kind == "provider" else ("", "", "")
    marked: int = database.call(
        "interlock_taint",
        quarantine.pk,
        quarantine.kind,
        pieces.lineage_refs(quarantine.kind, quarantine.ref),
        pieces.release_rows(quarantine.ref) if quarantine.kind == "release" else [],
        provider or None,
        model or None,
        quarantine.since,
        quarantine.until,
    )
    return marked


def tend() -> None:
    """Mark the runs that used what is quarantined since the last look: a step may have been out with it meanwhile.

    In a thread of its own, one at a time. A duty of the engine's clock.
    """
    some = database.fetch_all("SELECT 1 FROM workflows_quarantine WHERE released_at IS NULL LIMIT 1", [])
    if some:
        _LOOK.begin()


def mark_all() -> None:
    """Mark the runs of every quarantine that holds; one that is released meanwhile is left alone."""
    for found in Quarantine.objects.filter(released_at=None).order_by("pk"):
        mark(found)


_LOOK: Final = Duty("quarantines", mark_all, rests=_RESTS)


def in_force(kind: str) -> frozenset[str]:
    """Return the names of what is quarantined of a kind."""
    found = Quarantine.objects.filter(kind=kind, released_at=None)
    return frozenset(found.values_list("ref", flat=True))


def held_back(release: Release) -> str | None:
    """Return what is quarantined in a release or in one that it starts; None: it may be used.

    Names the kind and the object, and the child workflow where it is not the release's own.
    """
    found = Quarantine.objects.filter(kind__in=_OF_RELEASES, released_at=None)
    quarantined = set(found.values_list("kind", "ref"))
    if not quarantined:
        return None
    for each in closure.of([release])[release.pk]:
        for kind in _OF_RELEASES:
            for name in sorted(_names(each, kind)):
                if (kind, name) in quarantined:
                    return _told(kind, name, each, root=release)
    return None


def _told(kind: str, name: str, holder: Release, *, root: Release) -> str:
    own = holder.pk == root.pk
    if kind == "release":
        return f"release {holder.number} " + ("itself" if own else f"of its child workflow {holder.workflow}")
    within = "" if own else f" in release {holder.number} of its child workflow {holder.workflow}"
    return f"{kind} {name}{within}"


def check_clean(release: Release, *, refused: str, instead: str) -> None:
    """Refuse to put something new on a release that holds what is quarantined, or starts one that does.

    `refused`: what is not done, such as "Release 3 of claims is not deployed"; `instead`: what to do, a sentence.

    Raises:
        Conflict: it does.
    """
    held = held_back(release)
    if held is not None:
        raise Conflict(f"{refused}: {held} is quarantined. {instead}", code="release_quarantined")


def deployed(quarantine: Quarantine) -> Sequence[Deployment]:
    """Return the deployments whose release holds what is quarantined: they go on until somebody deploys another."""
    return still_live([quarantine]).get(quarantine.pk, ())


def still_live(quarantines: Sequence[Quarantine]) -> dict[int, list[Deployment]]:
    """Return, by quarantine, the deployments whose release holds what it is of, itself or in one that it starts.

    In one query, and one for each level of child workflows.
    """
    of = [each for each in quarantines if each.kind in _OF_RELEASES and each.released_at is None]
    deployments = list(Deployment.objects.select_related("stable")) if of else []
    below = closure.of([live.stable for live in deployments])
    found = {
        each.pk: [
            live
            for live in deployments
            if any(each.ref in _names(held, each.kind) for held in below[live.stable_id])
        ]
        for each in of
    }
    return {pk: live for pk, live in found.items() if live}


def _names(release: Release, kind: str) -> set[str]:
    """Return the names of a kind under which a release, or what it holds, is quarantined."""
    if kind == "release":
        return {f"{release.workflow}@{release.number}"}
    held = release.manifest.get(_HELD[kind], {})
    return {f"{ref.split('@')[0]}@{version}" for ref, version in held.items()}


def clean_pins(heads: dict[str, int]) -> dict[str, int]:
    """Return the snapshots that new runs pin: the heads, but for a quarantined one the newest clean before it."""
    quarantined = in_force("snapshot") if heads else frozenset()
    pins = {
        corpus: _last_clean(corpus, quarantined) if f"{corpus}@{head}" in quarantined else head
        for corpus, head in heads.items()
    }
    return {corpus: number for corpus, number in pins.items() if number is not None}


def _last_clean(corpus: str, quarantined: frozenset[str]) -> int | None:
    found = snapshots.published(corpus).filter(state="published")  # and not collected
    for number in found.values_list("number", flat=True)[:100]:
        if f"{corpus}@{number}" not in quarantined:
            return int(number)
    return None


def _check(ask: Ask) -> None:
    if ask.kind not in KINDS:
        raise Invalid(f"kind must be one of {', '.join(KINDS)}.", code="unknown_kind")
    if not ask.reason.strip():
        raise Invalid("A reason is needed; it goes to the audit log.", code="reason_missing")
    pieces.find(pieces.Piece(kind=ask.kind, name=ask.ref, since=ask.since, until=ask.until))


def _exclude(quarantine: Quarantine, actor: Actor) -> None:
    """Take it out of use from now on."""
    if quarantine.kind == "document":
        corpus, _, name = quarantine.ref.partition("/")
        documents.mark(corpus, name, reason=quarantine.reason, actor=str(actor))
    elif quarantine.kind == "memory":
        version = pieces.memory_version(quarantine.ref)
        assert version is not None
        MemoryVersion.objects.filter(pk=version.pk).update(quarantine=quarantine)
    elif quarantine.kind == "snapshot":
        _pin_anew(quarantine)


def _pin_anew(quarantine: Quarantine) -> None:
    """Runs that have not begun read the last clean snapshot instead."""
    corpus, _, number = quarantine.ref.rpartition("@")
    waiting = Run.objects.select_for_update().filter(
        state="queued", started_at=None, **{f"pins__{corpus}": int(number)}
    )
    for run in waiting:
        rest = {name: pin for name, pin in run.pins.items() if name != corpus}
        run.pins = {**rest, **clean_pins({corpus: int(number)})}
        run.save(update_fields=["pins"])


def _lift_document(quarantine: Quarantine, actor: Actor) -> None:
    corpus, _, name = quarantine.ref.partition("/")
    documents.lift_document(corpus, name, actor=str(actor))


def tainted(run_ids: Sequence[str]) -> dict[str, list[Taint]]:
    """Return the taints of some runs whose quarantines hold, by run."""
    found: dict[str, list[Taint]] = {}
    rows = Taint.objects.filter(run_id__in=list(run_ids), quarantine__released_at=None)
    for taint in rows.select_related("quarantine").order_by("quarantine_id"):
        found.setdefault(taint.run_id, []).append(taint)
    return found
