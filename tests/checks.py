"""`make check`: everything that can be said of the code without running it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CHECKS: dict[str, tuple[str, ...]] = {
    "format": ("ruff", "format", "--check", "."),
    "lint": ("ruff", "check", "."),
    "imports": ("lint-imports", "--no-cache"),
    "templates": ("djlint", "templates", "--lint", "--quiet"),
    "types": ("mypy", "."),
    "migrations": ("pytest", "-q", "--no-header", "tests/unit/test_migrations.py"),
    "locks": ("pytest", "-q", "--no-header", "tests/unit/test_locks.py"),
}  # fmt: skip
TESTED = ("migrations", "locks")  # those that are tests themselves


def failed_checks(out: TextIO = sys.stdout, *, but: Collection[str] = ()) -> list[str]:
    """Run every check `but` some, telling `out` what fails; returns the names of those that did."""
    # The type checker's plugin loads the settings, which want keys; none of these is used.
    environment = {
        **os.environ,
        "INTERLOCK_SECRET_KEY": "unused",
        "INTERLOCK_ENCRYPTION_KEY": "dW51c2VkdW51c2VkdW51c2VkdW51c2VkdW51c2VkMTI=",
    }
    failed = []
    for name, (program, *arguments) in CHECKS.items():
        if name in but:
            continue
        began = time.monotonic()
        done = subprocess.run(
            [str(BIN / program), *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        verdict = "failed" if done.returncode else "ok"
        out.write(f"check  {name:<20} {verdict:<7} {time.monotonic() - began:6.1f} s\n")
        if done.returncode:
            failed.append(name)
            out.write(f"{done.stdout}{done.stderr}\n")
        out.flush()
    return failed


if __name__ == "__main__":
    sys.exit(1 if failed_checks() else 0)
