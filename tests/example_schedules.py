"""Schedules with a history, for tests and pictures of their pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone as clock

from tests import factories
from workflows import firing
from workflows.models import Fire, Schedule
from workflows.spec import cron

BODIES: dict[str, dict[str, Any]] = {
    "nightly-digest": {"cron": "0 6 * * 1-5", "timezone": "Europe/Berlin", "catch_up": "2h"},
    "hourly-triage": {"cron": "15 * * * *", "overlap": "queue"},
    "month-end": {"cron": "30 22 L * *", "timezone": "America/New_York", "overlap": "cancel-running"},
    "support-sweep": {"cron": "*/5 8-18 * * *", "timezone": "Europe/Berlin"},
}


def schedule(name: str, **body: Any) -> Schedule:
    """A schedule of docs-assistant that has not fired yet."""
    whole = {"kind": "Schedule", "name": name, "workflow": "docs-assistant", "cron": "0 6 * * *", **body}
    factories.definition("Schedule", name, whole)
    upcoming = cron.after(clock.now(), whole["cron"], firing.zone_of(whole))
    return Schedule.objects.create(name=name, version=1, workflow=whole["workflow"], next_fire_at=upcoming)


def fire(name: str, hours_ago: float, outcome: str = "started", **values: Any) -> Fire:
    """What became of one fire time, so many hours ago."""
    at = (datetime.now(UTC) - timedelta(hours=hours_ago)).replace(second=0, microsecond=0)
    return Fire.objects.create(schedule=name, version=1, fire_at=at, outcome=outcome, **values)


def fill() -> None:
    """Four schedules: one that goes well, one with a run in the way, one paused, one that cannot start."""
    for name, body in BODIES.items():
        schedule(name, **body)
    going = factories.run("running", number=41, title="hourly-triage · 2026-11-03 10:15", ago_s=900)
    good = factories.run("succeeded", number=42, title="nightly-digest · 2026-11-03 06:00", ago_s=7200)
    fire("hourly-triage", 1, run_id=going.run.pk)
    fire("hourly-triage", 0.2, "due", note=f"Waits for run {going.run.pk} to end.")
    fire("nightly-digest", 2, run_id=good.run.pk)
    fire("nightly-digest", 1.5, run_id=good.run.pk, manual=True, fired_by="marta.ferri", key="x")
    fire("nightly-digest", 26, "skipped", note=f"Run {going.run.pk} of this schedule had not ended.")
    note = "Nobody held the clock, and it was too late to catch up."
    fire("nightly-digest", 75, "missed", note=note, count=3, until=clock.now() - timedelta(hours=50))
    fire(
        "support-sweep",
        0.1,
        "failed",
        note="Workflow docs-assistant has no release in environment production.",
    )
    Schedule.objects.filter(pk="month-end").update(
        paused_at=clock.now() - timedelta(hours=3),
        paused_by="d.osei",
        pause_reason="The books are closed by hand.",
    )
