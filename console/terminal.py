"""What commands share: one clear line for every error, who asks, how values are printed. No rules."""

from __future__ import annotations

import getpass
import json
import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError
from psycopg_pool import PoolTimeout

from console import formats, probing, strict_json
from console.api.tokens import TokenInvalidError
from retrieval.errors import RetrievalError
from workflows.actor import Actor
from workflows.errors import WorkflowError
from workflows.payloads import PayloadMissing

FAILED: Final = 1
USAGE: Final = 2
CANCELLED: Final = 3
INTERRUPTED: Final = 130
_AWAY: Final = (OperationalError, InterfaceError, psycopg.OperationalError, PoolTimeout)


class Error(CommandError):
    """A refusal, printed as `Error: …` without a traceback."""


class TerminalCommand(BaseCommand):
    """A command for people and scripts: results on standard output, everything else on standard error."""

    requires_system_checks = ()

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run, and turn what the layers below refuse into one line."""
        try:
            probing.ask("SELECT 1")  # a pool would try for half a minute
            return super().execute(*args, **options)
        except WorkflowError as error:
            raise Error("\n".join([error.message, *_faults(error.errors)]), returncode=FAILED) from None
        except (RetrievalError, TokenInvalidError, PayloadMissing) as error:
            raise Error(str(error), returncode=FAILED) from None
        except (probing.ProbeError, *_AWAY):
            raise Error(
                "The database does not answer. Is `manage.py up` running for this home?", returncode=FAILED
            ) from None
        except BrokenPipeError:
            # `… | head` has read enough.
            sys.stderr.close()
            return None

    def say(self, text: str) -> None:
        """Print for people, on standard error."""
        self.stderr.write(formats.printable(text), style_func=str)

    def tell(self, text: str) -> None:
        """Print a result, on standard output."""
        self.stdout.write(formats.printable(text))


def _faults(errors: Sequence[tuple[str, str]]) -> list[str]:
    return [f"  {path}: {message}" if path else f"  {message}" for path, message in errors]


def actor() -> Actor:
    """Return who sits at this terminal."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = "unknown"
    return Actor(kind="system", name=f"cli:{login}")


def json_argument(text: str) -> Any:
    """Read `JSON`, `@FILE` or `@-` (standard input)."""
    try:
        return strict_json.loads(_bytes_of(text))
    except OSError as error:
        raise ArgumentTypeError(f"{text[1:]} cannot be read: {error.strerror}.") from None
    except strict_json.JsonError as error:
        raise ArgumentTypeError(str(error)) from None


def _bytes_of(text: str) -> bytes:
    if text == "@-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).read_bytes() if text.startswith("@") else text.encode("utf-8", "surrogateescape")


def as_json(value: Any) -> str:
    """Write a value for people and programs."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Write rows in columns; the last is not padded."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)] + [row[-1]])
        for row in rows
    )
