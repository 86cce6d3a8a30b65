"""A console's worth of history, made inside Postgres: runs with their steps, journal, attempts, calls and payloads.

Rows alone: nothing runs, and the engine's statements are not asked. May not know what is measured over it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from django.core.management import call_command
from django.db import connection

from tests import example_runs, factories
from tests.benchmarks import frame
from tests.benchmarks.frame import Stand
from tests.workers import ROOT
from workflows.models import Deployment, Environment, Release, Run

WORKFLOWS: Final = (
    "claims-triage",
    "refund-review",
    "docs-assistant",
    "nightly-digest",
    "contract-check",
    "ticket-router",
    "invoice-reader",
    "kyc-screening",
    "product-copy",
    "call-summary",
    "lead-scoring",
    "policy-answers",
)
RELEASES: Final = 3
LARGE_RUN: Final = "r_0000000000099"  # a map over a thousand items, two steps each
# The newest runs have attempts and provider calls too: what pages and tiles read of them is bounded anyway.
DETAILED: Final = 50_000
_CHUNK: Final = 50_000  # runs in one transaction
_TABLES: Final = ("run", "steprun", "journalevent", "attempt", "call", "payload")


@dataclass(frozen=True)
class Size:
    """How much: runs over some days, each with so many step runs. The newest days are the fullest."""

    runs: int
    days: float
    steps: int = 10


def _statements(text: str) -> dict[str, str]:
    """Part the file by the names over its statements."""
    parts = re.split(r"^-- (\w+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


_PATHS: Final = [
    "classify",
    "search",
    "extract",
    "check",
    "draft",
    "review",
    "route",
    "answer",
    "sources",
    "notify",
]
_KINDS: Final = ["prompt", "retrieve", "prompt", "set", "prompt", "prompt", "set", "prompt", "set", "tool"]
_STATEMENTS: Final = _statements(Path(__file__).with_suffix(".sql").read_text())
_IN_CHUNKS: Final = ("made", "runs", "steps", "journal", "attempts", "calls", "forgotten")


def fill(size: Size, *, settle: bool = True) -> None:
    """Put exactly this much into the tables of runs; what was in them is gone. The last thing is ANALYZE.

    `settle`: vacuum too and write everything out, which a transaction cannot; else the first readers would.
    """
    began = time.monotonic()
    definitions()
    given: dict[str, Any] = {
        "runs": size.runs,
        "days": size.days,
        "steps": size.steps,
        "names": list(WORKFLOWS),
        "workflows": len(WORKFLOWS),
        "releases": RELEASES,
        "distinct": max(1, min(size.runs, 200_000)),
        "paths": _PATHS,
        "kinds": _KINDS,
        "detailed": size.runs - DETAILED,
    }
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE " + ", ".join(f"workflows_{name}" for name in _TABLES) + " CASCADE")
        cursor.execute("SET synchronous_commit = off; SET work_mem = '128MB'; SELECT setseed(0.42)")
        cursor.execute(_STATEMENTS["run_id"])
        cursor.execute(_STATEMENTS["payloads"], given)
        for first in range(1, size.runs + 1, _CHUNK):
            last = min(first + _CHUNK - 1, size.runs)
            for name in _IN_CHUNKS:
                cursor.execute(_STATEMENTS[name], {**given, "first": first, "last": last})
            if last % (4 * _CHUNK) == 0:
                frame.note(f"{last:,} runs, {time.monotonic() - began:.0f} s")
        for name in (*_TABLES, "release"):
            cursor.execute(f"{'VACUUM ANALYZE' if settle else 'ANALYZE'} workflows_{name}")
        cursor.execute("RESET synchronous_commit; RESET work_mem")
        if settle:
            cursor.execute("CHECKPOINT")


def size_gb() -> float:
    """Return what the database takes on disk, in GB."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database()) / 1e9")
        return float(cursor.fetchone()[0])


def definitions() -> None:
    """Make the workflows that the runs are of, each with its releases, once."""
    if Release.objects.filter(workflow=WORKFLOWS[0]).exists():
        return
    factories.prompts()
    for name in WORKFLOWS:
        for number in range(1, RELEASES + 1):
            newest = factories.release({**factories.ASSISTANT, "name": name}, number=number)
    staging, _ = Environment.objects.get_or_create(name="staging")
    Deployment.objects.get_or_create(
        workflow=newest.workflow,
        environment=staging,
        defaults={"stable": newest, "deployed_at": newest.created_at, "deployed_by": "marta"},
    )


def newest(state: str) -> Run:
    """Return the newest run in a state, of the ordinary size."""
    return Run.objects.filter(state=state).exclude(pk=LARGE_RUN).order_by("-created_at", "-id")[:1].get()


def in_the_middle() -> Run:
    """Return a run with about as many newer ones as older ones."""
    place = Run.objects.count() // 2
    return Run.objects.order_by("-created_at", "-id")[place : place + 1].get()


def history(stand: Stand, name: str, size: Size) -> str:
    """Make a database of this name, unless an earlier benchmark did; return its address."""
    said = f"{size.runs:,} runs over {size.days:g} days, {size.steps} steps each"
    return made_once(stand, name, said, __name__, str(size.runs), str(size.days), str(size.steps))


def made_once(stand: Stand, name: str, said: str, module: str, *arguments: str) -> str:
    """Let a module fill a database of this name, unless an earlier benchmark did; return its address.

    A database of its own: the engine of another benchmark must not find these steps and try to work them.
    """
    url = stand.servers.postgres.url(name)
    with psycopg.connect(stand.servers.postgres.url(), autocommit=True) as admin:
        known = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
    if not known:
        frame.note(f"{said} …")
        stand.database(name)
        child(url, module, *arguments)
    return url


def child(url: str, module: str, *arguments: str, text: str = "") -> str:
    """Run one of our modules with another database as its own; return what it prints.

    Raises:
        RuntimeError: it failed; its own words are on standard error.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        input=text,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)} ended with status {done.returncode}.")
    return done.stdout


def main() -> None:
    """Fill this process' database: runs, days, steps."""
    runs, days, steps = sys.argv[1:]
    call_command("migrate", verbosity=0)
    began = time.monotonic()
    fill(Size(runs=int(runs), days=float(days), steps=int(steps)))
    example_runs.map_run(1_000, number=int(LARGE_RUN.removeprefix("r_")))
    frame.note(f"{int(runs):,} runs in {time.monotonic() - began:.0f} s, {size_gb():.1f} GB")


if __name__ == "__main__":
    main()
