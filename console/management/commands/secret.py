"""`manage.py secret set NAME`: store a credential, encrypted, for documents that say `secret:NAME`."""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from console.terminal import Error, TerminalCommand, actor
from providers import credentials
from workflows import audit


class Command(TerminalCommand):
    help = "Store or delete a credential. `set` reads the value from the terminal or from standard input."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("set", "delete"))
        parser.add_argument("name")

    def handle(self, *args: Any, action: str, name: str, **options: Any) -> None:
        if action == "delete":
            if not credentials.delete(name):
                raise Error(f"There is no credential secret:{name}.")
        else:
            value = getpass.getpass("Value: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
            if not value:
                raise Error(f"No value was given for secret:{name}; nothing was changed.")
            credentials.store(name, value=value)
        audit.record(actor(), f"secret.{action}", "secret", name)
        self.tell(f"secret:{name}: done.")
