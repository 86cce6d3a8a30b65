"""A queue that is worth looking at: lanes of several priorities, runs that wait for a place, workers with work."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from tests import example_runs, factories
from workflows.models import Attempt, Release, StepRun, Worker
from workflows.models.runs import PRIORITIES

_LANES = (("docs-assistant", "high", 3), ("question-digest", "normal", 412), ("claims", "low", 27))


def fill() -> None:
    """Add runs from number 1960 on, two workers that are busy and one that shuts down."""
    _workers()
    for place, (workflow, priority, waiting) in enumerate(_LANES):
        _lane(1960 + place, workflow, PRIORITIES[priority], waiting)
    for place in range(3):
        factories.run(
            "queued" if place else "running",
            number=1970 + place,
            ago_s=240 - place * 30,
            title=f"Statement of account {place + 1} for acme",
            concurrency_key="customer acme",
            concurrency_limit=1,
            admitted=not place,
        )


def _workers() -> None:
    now = timezone.now()
    for host, pid, threads, draining in (("gpu-eu-1", 210, 8, False), ("gpu-eu-2", 87, 4, True)):
        Worker.objects.create(
            id=f"{host}:{pid}:c0de",
            host=host,
            pid=pid,
            threads=threads,
            draining=draining,
            started_at=now - timedelta(hours=3),
            seen_at=now + timedelta(minutes=20),  # alive still when the last of the pages is looked at
        )
    for place, worker in enumerate(("gpu-eu-1:210:c0de", "gpu-eu-1:210:c0de", "gpu-eu-2:87:c0de")):
        made = example_runs.running_run(number=1980 + place, ago_s=15 + 40 * place)
        StepRun.objects.filter(run=made.run).update(lane="production/docs-assistant")
        Attempt.objects.filter(run=made.run, state="running").update(worker=worker)


def _lane(number: int, workflow: str, priority: int, waiting: int) -> None:
    """Add one run with so many steps that are ready."""
    of = Release.objects.filter(workflow=workflow).order_by("-number").first()
    made = factories.run("running", of=of, number=number, ago_s=90 + number % 7 * 60, priority=priority)
    StepRun.objects.bulk_create(
        StepRun(
            run=made.run,
            path=f"each[{item}]/reply",
            step_id="reply",
            kind="prompt",
            ordinal=2,
            item=item,
            state="ready",
            lane=f"production/{workflow}",
            priority=priority,
            ready_at=made.at(1 + item * 0.1),
        )
        for item in range(waiting)
    )
