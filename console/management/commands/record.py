"""`manage.py record export RUN` and `record import FILE`: a run as one file, to be replayed elsewhere."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from console import strict_json
from console.terminal import FAILED, Error, TerminalCommand, actor
from workflows.replay import packing, unpacking


class Command(TerminalCommand):
    help = "Write an ended run to one file, or take such a file in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        export = actions.add_parser("export", help="write the run to standard output")
        export.add_argument("run")
        export.add_argument("--redact", action="append", default=[], help="the path of a text in the input")
        take_in = actions.add_parser("import", help="take a file in, in the environment `imported`")
        take_in.add_argument("file", type=Path)

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        if action == "export":
            self.tell(json.dumps(packing.pack(options["run"], redact=options["redact"])))
            return
        made = unpacking.unpack(_read(options["file"]), actor=actor())
        self.tell(f"Run {made.pk} is here. Replay it: manage.py replay {made.pk}")


def _read(file: Path) -> Any:
    try:
        return strict_json.loads(file.read_bytes())
    except OSError as error:
        raise Error(f"{file} cannot be read: {error.strerror}.", returncode=FAILED) from None
    except strict_json.JsonError as error:
        raise Error(f"{file} is not JSON: {error}", returncode=FAILED) from None
