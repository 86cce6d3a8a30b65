"""`manage.py worker`: one worker process; start as many as the machines bear."""

from __future__ import annotations

import warnings
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from console.celery import app


class Command(BaseCommand):
    help = "Run one worker process. SIGTERM lets running steps finish, then hands the rest back."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--threads",
            type=int,
            default=settings.WORKER_THREADS,
            help="steps at the same time (default: INTERLOCK_WORKER_THREADS, else 32)",
        )

    def handle(self, *args: Any, threads: int, **options: Any) -> None:
        if not 1 <= threads <= 2048:
            raise CommandError(f"--threads {threads}: 1 to 2048 is expected.")
        app.conf.worker_concurrency = threads
        # Celery's warning about root is about pickled messages; we accept JSON alone.
        warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
        worker = app.Worker(
            pool="threads",
            concurrency=threads,
            loglevel="INFO",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        worker.start()
        if worker.exitcode:
            raise SystemExit(worker.exitcode)
