"""`manage.py up`: the whole system on this machine, in one process tree."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from console.home import Home, HomeError
from console.installation import Installation, InstallationError, Options


class Command(BaseCommand):
    help = "Start everything on this machine: database, broker, web, workers. Ctrl-C stops it."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
        parser.add_argument(
            "--port", type=int, default=8000, help="the console's port, or the next free one (default: 8000)"
        )
        parser.add_argument("--workers", type=int, default=2, help="worker processes (default: 2)")
        parser.add_argument(
            "--demo", action=BooleanOptionalAction, default=True, help="load the demo's workflows"
        )

    def handle(self, *args: Any, host: str, port: int, workers: int, demo: bool, **options: Any) -> None:
        if not 0 <= workers <= 64:
            raise CommandError(f"--workers {workers}: 0 to 64 is expected.")
        if not 1 <= port <= 65535:
            raise CommandError(f"--port {port}: 1 to 65535 is expected.")
        chosen = Options(
            host=host,
            port=port,
            workers=workers,
            demo=demo,
            database_url=settings.OWN_DATABASE_URL,
            broker_url=settings.OWN_BROKER_URL,
            drain_grace_s=settings.DRAIN_GRACE_S,
        )
        try:
            home = Home(settings.HOME)
            home.create()
            Installation(home, chosen, self._say).run()
        except (HomeError, InstallationError) as error:
            raise CommandError(str(error)) from error

    def _say(self, line: str) -> None:
        with suppress(OSError):  # a terminal that is gone is no reason to stop
            self.stdout.write(line)
            self.stdout.flush()
