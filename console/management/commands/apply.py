"""`manage.py apply PATH…`: definitions from files, all or nothing."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from console.terminal import FAILED, USAGE, Error, TerminalCommand, actor
from workflows import definitions
from workflows.definitions import Change
from workflows.spec.documents import SourceText

_MEDIA: Final = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}
_SIGN: Final = {"create": "+", "new_version": "~", "unchanged": "="}


class Command(TerminalCommand):
    help = "Check definitions, show what changes, and apply them in one transaction."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "paths", nargs="+", metavar="PATH", help="files, or folders of .yaml and .json; - reads YAML"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would change")

    def handle(self, *args: Any, paths: list[str], dry_run: bool, **options: Any) -> None:
        sources = [source for path in paths for source in _sources(path)]
        result = definitions.apply(sources, actor=actor(), dry_run=dry_run)
        if result.errors:
            for error in result.errors:
                self.say(str(error))
            count = len(result.errors)
            raise Error(
                f"{count} {'fault' if count == 1 else 'faults'}; nothing was applied.", returncode=FAILED
            )
        for change in result.plan:
            self.tell(_line(change))
            if change.diff:
                self.tell(change.diff.rstrip("\n"))
        self.say(_summary(result.plan, applied=result.applied))


def _sources(text: str) -> Iterator[SourceText]:
    if text == "-":
        yield SourceText("standard input", sys.stdin.buffer.read(), "yaml")
        return
    path = Path(text)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in _MEDIA and file.is_file())
        if not files:
            raise Error(f"{text} holds no .yaml or .json file.", returncode=USAGE)
    else:
        files = [path]
    for file in files:
        yield _source(file)


def _source(file: Path) -> SourceText:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise Error(f"{file} cannot be read: {error.strerror}.", returncode=USAGE) from None
    return SourceText(str(file), data, "json" if file.suffix == ".json" else "yaml")


def _line(change: Change) -> str:
    return f"{_SIGN[change.action]} {change.kind} {change.name}, version {change.version}"


def _summary(plan: tuple[Change, ...], *, applied: bool) -> str:
    counts = {action: sum(change.action == action for change in plan) for action in _SIGN}
    told = f"{counts['create']} new, {counts['new_version']} changed, {counts['unchanged']} unchanged"
    return f"{told}." if applied else f"{told}; nothing was applied."
