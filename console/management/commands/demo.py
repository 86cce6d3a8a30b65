"""`manage.py demo`: load the demo into this installation; `manage.py up` does it at its start."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.demo import load


class Command(BaseCommand):
    help = "Load the demo: two workflows over Python's own documentation, on this machine's model."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            run = load.load()
        except load.DemoError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Ingested the documentation by run {run.pk}." if run else "The demo is there.")
