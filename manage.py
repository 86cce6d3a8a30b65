#!/usr/bin/env python
"""Interlock's command line; `manage.py help` lists the commands. All take `--home DIR`."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from console.home import VARIABLE, Home, HomeError, take_home, throwaway_secrets


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    try:
        arguments, named = take_home(sys.argv)
        if named:
            # Before the settings load, which read it; child processes find the same home by it.
            os.environ[VARIABLE] = str(Home.at(named).path)
        # The settings want secrets: `up` makes them, and a text of help needs any.
        if {"-h", "--help", "help"} & set(arguments[1:]) or not arguments[1:]:
            os.environ |= throwaway_secrets()
        elif arguments[1] == "up":
            Home.at(os.environ.get(VARIABLE)).create()
        execute_from_command_line(arguments)
    except (HomeError, ImproperlyConfigured) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
