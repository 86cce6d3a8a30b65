"""The examples of a schedule and of a webhook do what they say."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from pytest_django import Settings

from providers import credentials
from tests import engine
from tests.documentation import ROOT
from tests.witness import Witness
from workflows import firing, schedules
from workflows.models import Run, Schedule
from workflows.webhooks import delivering, outbox

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_the_schedule_starts_its_report_at_six_in_berlin() -> None:
    engine.apply((ROOT / "examples" / "schedule.yaml").read_text())
    row = schedules.get("morning-report")
    Schedule.objects.update(next_fire_at=datetime(2026, 7, 6, 4, 0, tzinfo=UTC))  # a Monday
    assert row.next_fire_at > datetime.now(UTC)
    assert firing.tick(datetime(2026, 7, 6, 4, 1, tzinfo=UTC)) == 1
    engine.drain()
    run = Run.objects.get()
    assert run.title == "morning-report · 2026-07-06 06:00"
    assert engine.output(run) == "Good morning, support."
    assert schedules.get("morning-report").next_fire_at - timedelta(days=1) == datetime(
        2026, 7, 6, 4, 0, tzinfo=UTC
    )


def test_the_webhook_tells_of_the_run_that_failed(settings: Settings) -> None:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    credentials.store("on-call", value="whsec_" + base64.b64encode(b"x" * 32).decode())
    with Witness() as witness:
        text = (ROOT / "examples" / "webhook.yaml").read_text()
        engine.apply(text.replace("https://hooks.example.com", witness.url("")))
        failed = engine.run("fragile", divisor=0)
        engine.run("fragile", divisor=4)
        [parcel] = outbox.take(now=NOW, limit=10)
        assert delivering.deliver(parcel).ok
    [call] = witness.calls
    assert (call.path, call.json["type"]) == ("/interlock", "run.failed")
    assert call.json["data"]["run"]["id"] == failed.pk
