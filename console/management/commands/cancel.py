"""`manage.py cancel RUN…`: stop runs for good."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from console.terminal import Error, TerminalCommand, actor
from workflows import runs
from workflows.errors import WorkflowError


class Command(TerminalCommand):
    help = "Stop runs for good: nothing new starts, running attempts finish."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("runs", nargs="+", metavar="RUN")
        parser.add_argument("--reason", default="")

    def handle(self, *args: Any, reason: str, **options: Any) -> None:
        refused = 0
        for run_id in options["runs"]:
            try:
                run = runs.cancel(run_id, actor=actor(), reason=reason)
            except WorkflowError as error:
                refused += 1
                self.say(error.message)
            else:
                state = (
                    "is cancelled" if run.state == "cancelled" else "stops when its running steps have ended"
                )
                self.tell(f"Run {run.pk} {state}.")
        if refused:
            raise Error(f"{refused} of {len(options['runs'])} runs were not cancelled.")
