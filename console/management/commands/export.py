"""`manage.py export`: definitions as `apply` takes them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from console.terminal import TerminalCommand
from workflows import definitions
from workflows.models.definitions import KINDS


class Command(TerminalCommand):
    help = "Write definitions to standard output; applying them again changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--kind", choices=KINDS, action="append", help="may be repeated")
        parser.add_argument("--name", action="append", help="may be repeated")
        parser.add_argument("--format", choices=("yaml", "json"), default="yaml")

    def handle(self, *args: Any, kind: list[str] | None, name: list[str] | None, **options: Any) -> None:
        text = definitions.export(kinds=kind, names=name, format=options["format"])
        self.stdout.write(text, ending="")
