"""`manage.py web`: one web process, the console and the API."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Run one web process (console and API)."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        uvicorn.run(
            "console.asgi:application",
            host=host,
            port=port,
            log_config=None,  # Django's LOGGING holds for uvicorn too
            access_log=False,  # addresses carry search texts; errors are logged by Django
            lifespan="off",
            timeout_graceful_shutdown=3,  # pages that listen for news would hold it for ever
        )
