"""`manage.py prune`: delete what is past its time, or say what would be deleted."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from console import formats
from console.terminal import TerminalCommand, actor, table
from workflows.retention import pruning
from workflows.retention.report import Report


class Command(TerminalCommand):
    help = "Delete runs, their values and snapshots that are past the time of INTERLOCK_RETENTION."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be deleted; delete nothing"
        )
        parser.add_argument("--gently", action="store_true", help="rest between batches, as the clock does")
        parser.add_argument("--json", action="store_true", help="the counts as one JSON object")

    def handle(self, *args: Any, dry_run: bool, gently: bool, **options: Any) -> None:
        terms, now = pruning.terms(), timezone.now()
        if not terms:
            self.say("INTERLOCK_RETENTION is not set: everything is kept.")
        for name, each in terms.items():
            self.say(f"{name}: {each}")
        if dry_run:
            report = pruning.survey(now=now)
        else:
            pause = pruning.Gently() if gently else pruning.no_pause
            report = pruning.prune(actor=actor(), now=now, pause=pause)
        self.tell(
            json.dumps(dict(report.counts) | {"bytes": report.bytes}) if options["json"] else _told(report)
        )


def _told(report: Report) -> str:
    rows = [(f"{count:,}", name) for name, count in report.told()]
    if not rows:
        return "Nothing is due."
    return table([*rows, (formats.size(report.bytes), "of values, as they are stored")])
