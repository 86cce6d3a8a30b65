"""`manage.py show RUN`: one run with its steps, error and output."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from console import formats, watching
from console.api import asking, run_shape
from console.management.commands.run import outcome
from console.terminal import TerminalCommand, as_json, table
from workflows import payloads, runs
from workflows.models import Run, StepRun


class Command(TerminalCommand):
    help = "Show a run: state, pins, cost, steps, error, input and output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run")
        parser.add_argument("--json", action="store_true", help="as in the API")

    def handle(self, *args: Any, run: str, json: bool, **options: Any) -> None:
        found = runs.get(run)
        if json:
            self.tell(as_json(run_shape.of_run(found)))
            return
        self.tell(outcome(found))
        self.tell(table(_facts(found)))
        steps = StepRun.objects.filter(run_id=found.pk, superseded=False).order_by("id")
        for step in steps[: watching.MAX_LINES]:
            self.tell(watching.line(step, now=timezone.now()))
        for name, key in (("input", found.input_hash), ("output", found.output_hash)):
            if key is not None:
                self.tell(f"{name}: {as_json(payloads.load_one(key))}")


def _facts(run: Run) -> list[tuple[str, str]]:
    shape = run_shape.of_run(run)
    took = ((run.ended_at or timezone.now()) - run.started_at).total_seconds() if run.started_at else None
    tokens = shape["tokens"]
    return [
        ("workflow", f"{run.workflow}, release {run.release.number}, {run.environment_id}"),
        ("created", f"{asking.moment(run.created_at)} by {run.created_by}"),
        ("took", formats.duration(took)),
        (
            "snapshots",
            ", ".join(f"{corpus} {number}" for corpus, number in run.pins.items()) or formats.UNKNOWN,
        ),
        ("cost", f"{formats.money(run.cost_usd)}, {tokens['input']} tokens in, {tokens['output']} out"),
    ]
