"""`manage.py run WORKFLOW`: start a run and, with --wait, follow it. The exit status is its outcome."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from console import terminal, watching
from console.terminal import TerminalCommand, actor, json_argument
from workflows import payloads, runs
from workflows.models import Run
from workflows.models.runs import PRIORITIES

_STATUS = {"succeeded": 0, "cancelled": terminal.CANCELLED}


class Command(TerminalCommand):
    help = (
        "Start a run. Prints its id; with --wait its steps as they change and its output. "
        "Exit status with --wait: 0 succeeded, 1 failed, 3 cancelled."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("workflow")
        parser.add_argument(
            "--input", type=json_argument, default={}, metavar="JSON|@FILE", help="default: {}; @- reads it"
        )
        parser.add_argument("--wait", action="store_true", help="follow the run until it ends")
        parser.add_argument("--env", default="production", metavar="ENVIRONMENT")
        parser.add_argument("--release", type=int, metavar="N", help="default: what is deployed")
        parser.add_argument("--session")
        parser.add_argument("--title", default="")
        parser.add_argument("--priority", choices=sorted(PRIORITIES), default="normal")
        parser.add_argument("--tag", action="append", default=[], dest="tags")
        parser.add_argument("--key", metavar="KEY", help="idempotency key: the same key, the same run")

    def handle(self, *args: Any, workflow: str, wait: bool, key: str | None, **options: Any) -> None:
        order = runs.Order(
            workflow=workflow,
            input=options["input"],
            environment=options["env"],
            release=options["release"],
            session=options["session"],
            title=options["title"],
            priority=options["priority"],
            tags=options["tags"],
        )
        started = runs.start(order, actor=actor(), trigger="cli", idempotency_key=key)
        if wait:
            self.say(f"Run {started.run.pk} of {workflow}")
            finish(self, started.run.pk)
        else:
            self.tell(started.run.pk)


def finish(command: TerminalCommand, run_id: str) -> None:
    """Follow a run to its end, print its output, and leave with its outcome."""
    try:
        run = watching.follow(run_id, say=command.say)
    except KeyboardInterrupt:
        command.say(f"\nNo longer watching. The run goes on: manage.py show {run_id}")
        sys.exit(terminal.INTERRUPTED)
    command.say(outcome(run))
    if run.state == "succeeded":
        command.tell(terminal.as_json(payloads.load_one(run.output_hash)))
    status = _STATUS.get(run.state, terminal.FAILED)
    if status:
        sys.exit(status)


def outcome(run: Run) -> str:
    """Say how a run ended, and why."""
    error = run.error or {}
    at = f" at {error['step']}" if error.get("step") else ""
    why = f"{at}: {error['message']}" if error.get("message") else ""
    return f"Run {run.pk} {run.state}{why}"
