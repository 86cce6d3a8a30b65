"""Schedules and webhooks by real workers, one of which is killed in the middle of it."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests import engine
from tests.witness import Witness
from tests.workers import Workers
from workflows.models import ClockLease, Delivery, Fire, Run, Schedule, Worker

MINUTES = 6


def test_a_killed_clock_costs_no_fire_time_and_no_event(worker: Workers) -> None:
    env = {
        "INTERLOCK_TOOL_ALLOW": "127.0.0.1",
        "HOOK_API_KEY": "whsec_" + base64.b64encode(b"k" * 32).decode(),
    }
    with Witness() as witness:
        engine.apply(
            "{kind: Workflow, name: echo, steps: [{id: note, set: {a: 1}}]}",
            "{kind: Schedule, name: minutely, workflow: echo, cron: '* * * * *', overlap: queue, catch_up: 1h}",
            f"{{kind: Webhook, name: ops, url: '{witness.url('/hook')}', secret: env:HOOK_API_KEY, events: [run.*]}}",
        )
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        Schedule.objects.update(next_fire_at=now - timedelta(minutes=MINUTES - 1))
        workers = [worker.start(env=env), worker.start(env=env)]
        _until(lambda: Run.objects.exclude(ended_at=None).exists())
        held = Worker.objects.get(pk=ClockLease.objects.get().holder).pid
        next(each for each in workers if each.pid == held).kill()
        _until(lambda: Run.objects.exclude(ended_at=None).count() >= MINUTES)
        _until(lambda: not Delivery.objects.exclude(state="delivered").exists())
        told = {call.headers["webhook-id"]: call.json["data"]["run"]["id"] for call in witness.calls}
    fires = Fire.objects.filter(outcome="started")
    assert fires.count() == Run.objects.count() == len(set(fires.values_list("run_id", flat=True)))
    assert sorted(told.values()) == sorted(Run.objects.values_list("pk", flat=True))


def _until(holds: Callable[[], bool], *, within_s: float = 40) -> None:
    ends_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends_at, list(Fire.objects.values()) + list(Delivery.objects.values())
        time.sleep(0.1)
