"""Who used a piece of state: a page of it, and the totals, over ten million uses beside twenty-four thousand.

Two databases that take turns. `LINEAGE_RUNS` (420000, 24 uses each) chooses the long history.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Final, TypeVar

from django.core.management import call_command
from django.db import connection

from tests.benchmarks import console_data, frame, lineage_data
from tests.benchmarks.frame import Row, Stand, percentile
from workflows.queries import lineage

SHORT_RUNS: Final = 1_000
USES_OF_A_RUN: Final = lineage_data.STEPS * lineage_data.USES_OF_A_STEP
GOAL_MS: Final = 100.0  # what a reader takes for instantly
_HERE: Final = "tests.benchmarks.lineage"  # also where this module is the program
Found = TypeVar("Found")
Samples = dict[str, list[float]]


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    """Return the rows of this benchmark."""
    runs = max(SHORT_RUNS, int(int(os.environ.get("LINEAGE_RUNS", "420000")) * scale))
    long, short = _history(stand, "lineage_long", runs), _history(stand, "lineage_short", SHORT_RUNS)
    ours: Samples = {}
    baseline: Samples = {}
    for _ in range(rounds):
        for url, found in ((long, ours), (short, baseline)):
            for what, taken in json.loads(console_data.child(url, _HERE, "ask")).items():
                found.setdefault(what, []).extend(taken)
    return [_row(what, ours[what], baseline.get(what, []), uses=runs * USES_OF_A_RUN) for what in ours]


def _row(what: str, ours: list[float], baseline: list[float], *, uses: int) -> Row:
    half, most = percentile(ours, 0.5), percentile(ours, 0.95)
    few, ratio = "–", "–"  # a short history may not know it
    if baseline:
        of_few = percentile(baseline, 0.5)
        few, ratio = f"{of_few:.1f} / {percentile(baseline, 0.95):.1f} ms", f"{half / of_few:.2f} ×"
    return Row(
        what=f"lineage, {uses:,} uses: {what}",
        ours=f"{half:.1f} / {most:.1f} ms",
        baseline=few,
        ratio=ratio,
        goal=f"p95 ≤ {GOAL_MS:g} ms",
        met=most <= GOAL_MS,
    )


def _history(stand: Stand, name: str, runs: int) -> str:
    said = f"{runs * USES_OF_A_RUN:,} uses by {runs:,} runs"
    return console_data.made_once(stand, name, said, _HERE, "fill", str(runs))


def _fill(runs: int) -> None:
    call_command("migrate", verbosity=0)
    lineage_data.fill(runs)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def _ask() -> Samples:
    """Time pages (the first, the next) and the totals of each piece, in ms; what came first only warms up."""
    taken: Samples = {}
    for piece in lineage_data.pieces():
        name = f"{piece.kind} {piece.name}{', some days' if piece.since else ''}"
        for _ in range(4):
            first = _timed(taken, f"{name}, a page", lambda: lineage.page(piece))  # noqa: B023
            if first.next:
                _timed(taken, f"{name}, a page", lambda: lineage.page(piece, after=first.next))  # noqa: B023
            _timed(taken, f"{name}, totals", lambda: lineage.totals(piece))  # noqa: B023
    return {what: samples[1:] for what, samples in taken.items()}


def _timed(taken: Samples, what: str, work: Callable[[], Found]) -> Found:
    began = time.perf_counter()
    found = work()
    taken.setdefault(what, []).append(1000 * (time.perf_counter() - began))
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["fill"]:
        _fill(int(sys.argv[2]))
    elif sys.argv[1:] == ["ask"]:
        sys.stdout.write(json.dumps(_ask()))
    else:
        frame.alone(measure)
