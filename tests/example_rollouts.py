"""Rollouts in every state, for tests and pictures of their pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from tests import factories
from workflows import audit
from workflows.actor import SYSTEM, Actor
from workflows.models import Release, Rollout
from workflows.releases import judging
from workflows.releases.judging import Arm, Figures
from workflows.releases.sequential import Sample
from workflows.spec import rollouts as spec

PLAN: Final[dict[str, Any]] = {
    "steps": [
        {"weight": 5},
        {"pause": {"for": "15m"}},
        {"analysis": "errors"},
        {"weight": 25},
        {"analysis": "errors"},
        {"pause": {}},
        {"weight": 100},
    ],
    "analyses": {
        "errors": {
            "metrics": [
                {"name": "failure_rate", "max": 0.1, "max_increase": 0.02},
                {"name": "latency_p95", "max_ratio": 1.5},
                {"name": "cost_per_run", "max_ratio": 1.5},
                {"name": "valid_output_rate", "min": 0.97, "dry_run": True},
            ]
        }
    },
}
MARTA: Final = Actor(kind="user", name="marta.ferri")
GOOD: Final = Arm(runs=140, failed=4, invalid=1, cost=Sample(140, 0.0046, 4e-6), timed=140, p95_s=3.9)
BAD: Final = Arm(runs=131, failed=24, invalid=15, cost=Sample(131, 0.0052, 4e-6), timed=131, p95_s=4.4)
STABLE: Final = Arm(runs=2640, failed=61, invalid=12, cost=Sample(2640, 0.0043, 4e-6), timed=2640, p95_s=4.1)


def rollout(
    number: int, state: str, *, step: int, weight: float, arm: Arm | None = None, **values: Any
) -> Rollout:
    """A rollout of docs-assistant from release 1 to another one, as it was measured last."""
    now = timezone.now()
    stable = (
        Release.objects.filter(workflow="docs-assistant").order_by("number").first() or factories.release()
    )
    candidate, _ = Release.objects.get_or_create(
        workflow="docs-assistant",
        number=number,
        defaults={
            "content_hash": f"{number:064d}",
            "manifest": {**stable.manifest, "prompts": {"classify": 1, "answer": 2}},
            "created_by": "marta.ferri",
        },
    )
    measured: dict[str, Any] = {}
    if arm is not None:
        analysis = spec.parse(PLAN).analyses["errors"]
        judged = judging.judge(
            analysis, Figures(stable=STABLE, candidate=arm, history=STABLE, slower={6.15: 3}), tests=8
        )
        measured = {
            "verdict": judged.verdict,
            "metrics": judging.as_json(judged.results),
            "measured_at": now - timedelta(seconds=20),
            "note": judged.words,
        }
    made = Rollout.objects.create(
        workflow="docs-assistant",
        environment_id="production",
        from_release=stable,
        to_release=candidate,
        state=state,
        plan=PLAN,
        salt="salt",
        step=step,
        step_at=now - timedelta(minutes=4),
        weight=weight,
        weight_at=now - timedelta(minutes=20),
        reason="A shorter prompt: a third of the tokens.",
        started_by="marta.ferri",
        started_at=now - timedelta(minutes=24),
        **{**measured, **values},
    )
    data = {"state": "running", "step": 0, "weight": 5, "from": 1, "to": number, "note": "", "move": 0}
    audit.record(MARTA, "rollout.start", "rollout", str(made.pk), reason=made.reason, data=data)
    audit.record(
        SYSTEM,
        "rollout.step",
        "rollout",
        str(made.pk),
        data={**data, "step": step, "weight": weight, "move": 1},
    )
    return made


def fill() -> dict[str, Rollout]:
    """One that goes on, and two that have ended."""
    now = timezone.now()
    return {
        "rolled back": rollout(
            2, "rolled_back", step=2, weight=0.0, arm=BAD, ended_at=now - timedelta(days=1)
        ),
        "succeeded": rollout(3, "succeeded", step=7, weight=100.0, ended_at=now - timedelta(hours=5)),
        "running": rollout(
            4, "running", step=2, weight=5.0, arm=GOOD, due_at=now + timedelta(seconds=40), pk=900
        ),
    }
