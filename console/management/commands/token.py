"""`manage.py token create`: an API token for a script or another system."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from console.api import tokens
from console.models import Role
from console.terminal import TerminalCommand, actor

_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def expiry(text: str) -> datetime | None:
    """Read `12h`, `90d`, `4w`, a date, a time with its offset, or `never`."""
    if text == "never":
        return None
    duration = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if duration:
        return timezone.now() + int(duration[1]) * _UNITS[duration[2]]
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r}: 12h, 90d, 4w, 2030-01-31 or never is expected.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Command(TerminalCommand):
    help = "Make an API token. It is printed once, as the last line of standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="create")
        create = actions.add_parser("create", help="make a token and print it once")
        create.add_argument("--name", required=True, help="what it is for, such as `billing service`")
        create.add_argument("--role", choices=Role.values, default=Role.OPERATOR.value)
        create.add_argument(
            "--expires",
            type=expiry,
            default="90d",
            help="12h, 90d, 4w, a date, or never (default: %(default)s)",
        )

    def handle(self, *args: Any, name: str, role: str, expires: datetime | None, **options: Any) -> None:
        made = tokens.create(name, role=role, expires_at=expires, actor=actor(), now=timezone.now())
        until = f"until {expires:%Y-%m-%d %H:%M} UTC" if expires else "without an end"
        self.say(f"A token named {name!r} with the role {role}, valid {until}. It is not shown again:")
        self.tell(made.secret)
