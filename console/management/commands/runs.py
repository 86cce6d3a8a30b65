"""`manage.py runs`: the newest runs, in columns or as JSON lines."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from console import formats
from console.api import asking, run_filters, run_shape
from console.api.errors import InvalidRequestError
from console.terminal import USAGE, Error, TerminalCommand, table
from workflows.models import Run


class Command(TerminalCommand):
    help = "List runs, newest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name in ("workflow", "environment", "session", "error", "since", "until", "q"):
            parser.add_argument(f"--{name}")
        parser.add_argument("--state", action="append")
        parser.add_argument("--tag", action="append")
        parser.add_argument("--release", type=int)
        parser.add_argument("--limit", type=int, default=20)
        parser.add_argument("--json", action="store_true", help="one JSON object a line, as in the API")

    def handle(self, *args: Any, **options: Any) -> None:
        fields = run_filters.RunFilters.model_fields
        given = {name: value for name, value in options.items() if name in fields and value is not None}
        try:
            asked = asking.validated(given, run_filters.RunFilters)
        except InvalidRequestError as error:
            raise Error(str(error), returncode=USAGE) from None
        found = run_filters.apply(asked).select_related("release").order_by("-created_at", "-pk")
        shown = list(found[: asked.limit])
        if options["json"]:
            for run in run_shape.of_runs(shown):
                self.tell(json.dumps(run))
        elif shown:
            self.tell(table([("RUN", "WORKFLOW", "STATE", "AGE", "TOOK", "TITLE"), *map(_row, shown)]))
        else:
            self.say("No run matches.")


def _row(run: Run) -> tuple[str, ...]:
    now = timezone.now()
    took = ((run.ended_at or now) - run.started_at).total_seconds() if run.started_at else None
    error = (run.error or {}).get("message", "")
    return (
        run.pk,
        f"{run.workflow} {run.release.number}",
        run.state,
        formats.ago((now - run.created_at).total_seconds()),
        formats.duration(took),
        " ".join((run.title or error).split())[:80],
    )
