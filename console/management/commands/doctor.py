"""`manage.py doctor`: what is wrong here, and what to do about it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from console.doctor import examine


class Command(BaseCommand):
    help = "Look at database, broker, workers, clock, models, keys and disk; exit status 1 at a fault."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        faults = 0
        for finding in examine():
            mark = "FAULT" if finding.fault else "ok"
            faults += finding.fault
            self.stdout.write(f"{mark:<6} {finding.what:<22} {finding.says}")
            if finding.todo:
                self.stdout.write(f"{'':<6} {'':<22} → {finding.todo}")
        if faults:
            self.stdout.write(f"{faults} fault(s).")
            raise SystemExit(1)
