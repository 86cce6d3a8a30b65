"""`manage.py setup`: bring the database up to date and make the first user. Safe to repeat."""

from __future__ import annotations

import json
import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from console.doctor import check_database
from console.models import Role, User

FIRST_USER = "admin"


class Command(BaseCommand):
    help = "Migrate the database and, if nobody can sign in yet, make the user `admin` with a new password."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="answer as one line of JSON")

    def handle(self, *args: Any, as_json: bool, **options: Any) -> None:
        database = check_database()  # says within seconds what is wrong; the pool would wait for long
        if database.fault:
            raise CommandError(f"The database does not serve: {database.says}. Is DATABASE_URL right?")
        call_command("migrate", interactive=False, verbosity=0)
        password = make_first_user()
        answer = {"user": FIRST_USER, "password": password} if password else {}
        if as_json:
            self.stdout.write(json.dumps(answer))
        elif password:
            self.stdout.write(f"Sign in as {FIRST_USER} with the password {password} (shown this once).")
        else:
            self.stdout.write("The database is up to date.")


def make_first_user() -> str | None:
    """Make the administrator if there is no user at all; returns the password, which is kept nowhere."""
    with transaction.atomic():
        if User.objects.exists():
            return None
        password = secrets.token_urlsafe(12)
        User.objects.create_superuser(FIRST_USER, password=password, role=Role.ADMIN)
        return password
