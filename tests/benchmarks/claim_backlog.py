"""One claim while 100, 10,000 and 100,000 steps are ready: what a backlog costs whoever takes the best of them.

`python -m tests.benchmarks.claim_backlog`. The statement alone, without the commit's fsync, which would hide it. The
backlog grows within a round, and each size is held against the smallest of the same round, seconds before.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from django.db import connection, transaction
from django.db.models import Model

from tests.benchmarks import frame
from tests.benchmarks.frame import Row, Stand
from tests.engine import deploy, start
from workflows import database
from workflows.engine import commit
from workflows.models import Run, StepRun

BACKLOGS: Final = (100, 10_000, 100_000)
CLAIMS: Final = 50  # of each size; so many more rows are ready before them
# The claim of a round that counts: of fifty in a tenth of a second, whatever else runs here slows some.
UNDISTURBED: Final = 0.2
GOAL_RATIO: Final = 2.0
LANES: Final = 10
WORKFLOW: Final = "name: backlog\nsteps: [{id: only, set: {v: 1}}]\n"
# More rows like those of one run, each with what is its own.
_RUN: Final = {"id": "'r_b' || n"}
_STEP: Final = {
    "id": "nextval(pg_get_serial_sequence('workflows_steprun', 'id'))",
    "run_id": "'r_b' || n",
    "state": "'ready'",
    "lane": f"'production/w' || n % {LANES}",
    "ready_at": "clock_timestamp()",
}


def _copies(model: type[Model], of: str, own: Mapping[str, str]) -> str:
    """Return the statement that copies the row of one run, for the numbers from $1 to $2."""
    columns = [str(field.column) for field in model._meta.concrete_fields]
    values = [own.get(name, f't."{name}"') for name in columns]
    names = ", ".join(f'"{name}"' for name in columns)
    table = model._meta.db_table
    return (
        f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} "
        f"FROM {table} t, generate_series($1::integer, $2::integer) n WHERE t.{of} = $3 RETURNING 1"
    )


def _fill(run: str, *, first: int, last: int) -> None:
    database.fetch_all(_copies(Run, "id", _RUN), [first, last, run])
    database.fetch_all(_copies(StepRun, "run_id", _STEP), [first, last, run])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workflows_run, workflows_steprun")


def _claim_ms(after: str) -> tuple[float, str]:
    """Claim once; return the milliseconds of the statement, and the lane that was served."""
    with transaction.atomic():
        began = time.perf_counter()
        claimed = commit.claim(worker="bench", lease_s=30, idle=True, after=after)
        took = time.perf_counter() - began
    if claimed is None:
        raise RuntimeError("Nothing was ready.")
    return 1000 * took, claimed.lane


def _round() -> dict[int, list[float]]:
    """Let the backlog grow; return the milliseconds of each claim by its size."""
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE workflows_run, workflows_steprun, workflows_attempt, workflows_journalevent CASCADE"
        )
    run, filled, lane = start("backlog").pk, 0, ""
    StepRun.objects.filter(run=run).update(state="pending")  # the pattern itself is no part of it
    found: dict[int, list[float]] = {}
    for number, size in enumerate(BACKLOGS):
        last = size + (number + 1) * CLAIMS
        _fill(run, first=filled + 1, last=last)
        filled, found[size] = last, []
        for _ in range(CLAIMS):
            took, lane = _claim_ms(lane)
            found[size].append(took)
    return found


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    """Return the rows of this benchmark. The sizes stay what they are; a small `scale` makes fewer rounds."""
    deploy(WORKFLOW)
    _round()  # to warm up
    found = [
        {size: frame.percentile(took, UNDISTURBED) for size, took in _round().items()}
        for _ in range(max(1, int(rounds * scale)))
    ]
    return [_row(size, found) for size in BACKLOGS]


def _row(size: int, found: list[dict[int, float]]) -> Row:
    """The median round, and the ratio to the smallest backlog of the same round."""
    least = BACKLOGS[0]
    ratio = frame.percentile([each[size] / each[least] for each in found], 0.5)
    ours = f"{frame.percentile([each[size] for each in found], 0.5):.2f} ms"
    if size == least:
        return Row(what=f"a claim, {size:,} steps ready", ours=ours)
    return Row(
        what=f"a claim, {size:,} steps ready",
        ours=ours,
        baseline=f"{least:,} ready",
        ratio=f"{ratio:.2f} ×",
        goal=f"≤ {GOAL_RATIO:g} ×",
        met=ratio <= GOAL_RATIO,
    )


if __name__ == "__main__":
    frame.alone(measure)
