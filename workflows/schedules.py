"""Schedules as people lead them: applied, paused, resumed, fired by hand, and their history forgotten.

`firing` is the clock's side. Permission was checked above. May not: read the clock; moments are passed in.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from workflows import audit, database, firing
from workflows.actor import Actor
from workflows.errors import Conflict, UnknownObject
from workflows.firing import Body, environment_of, zone_of
from workflows.models import Environment, Fire, Schedule
from workflows.models.schedules import DUE
from workflows.payloads import clean_text
from workflows.releases.build import PRODUCTION
from workflows.spec import cron

KEPT: Final = timedelta(days=90)


def ensure(name: str, body: Body, version: int, *, now: datetime) -> str | None:
    """Let a schedule go by a new version of its document; returns what is wrong with its environment."""
    environment = environment_of(body)
    if environment != PRODUCTION and not Environment.objects.filter(pk=environment).exists():
        return f"there is no environment {environment!r}"
    upcoming = cron.after(now, body["cron"], zone_of(body))
    row = Schedule.objects.select_for_update().filter(pk=name).first()
    if row is None:
        Schedule.objects.create(name=name, version=version, workflow=body["workflow"], next_fire_at=upcoming)
        return None
    if row.paused_at is None and row.next_fire_at <= now:
        firing.plan([row], now=now)  # what was due before is due by the version before
    before = _body(row)
    if (before["cron"], zone_of(before)) != (body["cron"], zone_of(body)):
        row.next_fire_at = upcoming
    row.version, row.workflow = version, body["workflow"]
    row.save(update_fields=["version", "workflow", "next_fire_at"])
    return None


def get(name: str) -> Schedule:
    """Return a schedule. Raises: UnknownObject."""
    found = Schedule.objects.filter(pk=name).first() if "\0" not in name else None
    if found is None:
        raise UnknownObject(f"There is no schedule {clean_text(name, limit=80)}.", code="unknown_schedule")
    return found


def pause(name: str, *, actor: Actor, reason: str, now: datetime) -> Schedule:
    """Fire no more until it is resumed; fire times that wait are skipped.

    Raises: UnknownObject; Conflict where it is paused already.
    """
    get(name)
    why = clean_text(reason, limit=1000)
    with transaction.atomic():
        moved = Schedule.objects.filter(pk=name, paused_at=None).update(
            paused_at=now, paused_by=str(actor), pause_reason=why
        )
        if not moved:
            raise Conflict(f"Schedule {name} is paused already.", code="schedule_paused")
        firing.skip_waiting(name, "The schedule was paused.")
        audit.record(actor, "schedule.pause", "Schedule", name, reason=why)
    return get(name)


def resume(name: str, *, actor: Actor, reason: str, now: datetime) -> Schedule:
    """Fire again, from the next fire time on; those during the pause are not caught up.

    Raises: UnknownObject; Conflict where it is not paused.
    """
    row = get(name)
    body = _body(row)
    why = clean_text(reason, limit=1000)
    upcoming = cron.after(now, body["cron"], zone_of(body))
    with transaction.atomic():
        moved = Schedule.objects.filter(pk=name, paused_at__isnull=False).update(
            paused_at=None, paused_by="", pause_reason="", next_fire_at=upcoming
        )
        if not moved:
            raise Conflict(f"Schedule {name} is not paused.", code="schedule_not_paused")
        audit.record(actor, "schedule.resume", "Schedule", name, reason=why)
    return get(name)


def fire_now(name: str, *, actor: Actor, reason: str, now: datetime, request_key: str | None = None) -> Fire:
    """Start a run now, whatever the overlap rule says; the same request key fires once.

    Raises: UnknownObject; as `runs.start` if the run could not be started.
    """
    row = get(name)
    why = clean_text(reason, limit=1000)
    values: dict[str, Any] = {
        "version": row.version,
        "fire_at": now.replace(microsecond=now.microsecond or 1),  # never a fire time of the clock's
        "manual": True,
        "fired_by": str(actor),
        "outcome": DUE,
    }
    unique = request_key or f"{uuid.uuid4()}"
    with transaction.atomic():
        fire, is_new = Fire.objects.get_or_create(schedule=name, key=unique, defaults=values)
        if is_new:
            audit.record(actor, "schedule.fire", "Schedule", name, reason=why)
    if fire.outcome == DUE:
        firing.start(fire, _body(row, fire.version), going=None)
        fire.refresh_from_db()
    return fire


def forget(now: datetime) -> int:
    """Drop the history of fire times that are older than 90 days; what is due stays."""
    old = Fire.objects.filter(fire_at__lt=now - KEPT).exclude(outcome=DUE).order_by("fire_at")
    removed, _ = Fire.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:1000])).delete()
    return removed


def _body(row: Schedule, version: int | None = None) -> Body:
    wanted = (row.name, version or row.version)
    return firing.bodies_of([wanted])[wanted]


def forget_old() -> None:
    """Drop history that is too old, a batch at a time. A duty of the engine's clock."""
    try:
        while forget(database.fetch_all("SELECT clock_timestamp()", [])[0][0]):
            pass
    finally:
        connection.close()
