"""`manage.py retry RUN`: continue a failed or cancelled run."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from console.management.commands.run import finish
from console.terminal import TerminalCommand, actor
from workflows import recovery


class Command(TerminalCommand):
    help = "Continue a failed or cancelled run from its failed steps."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run")
        parser.add_argument("--reason", default="")
        parser.add_argument("--wait", action="store_true", help="follow the run until it ends")

    def handle(self, *args: Any, run: str, wait: bool, reason: str, **options: Any) -> None:
        again = recovery.retry(run, actor=actor(), reason=reason)
        if wait:
            finish(self, again.pk)
        else:
            self.tell(f"Run {again.pk} is {again.state}.")
