"""`manage.py unprotect ENVIRONMENT --reason …`: let one person change a protected environment again."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from console.terminal import TerminalCommand, actor
from workflows.releases import environments


class Command(TerminalCommand):
    help = (
        "Take an environment's protection away, so that one person alone can deploy there. Applying its document "
        "with `protected: true`, changed in anything, gives it back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("environment")
        parser.add_argument("--reason", required=True, help="for the audit log")

    def handle(self, *args: Any, environment: str, reason: str, **options: Any) -> None:
        environments.unprotect(environment, actor=actor(), reason=reason)
        self.say(f"Environment {environment} is not protected any more.")
