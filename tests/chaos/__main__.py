"""`python -m tests.chaos --seconds N`: the whole of it, on servers of its own. Ends with 1 if anything was wrong."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests import standalone
from tests.chaos import performance
from tests.workers import Workers


def main() -> int:
    parser = argparse.ArgumentParser(description="Break Interlock at random, and see what is left.")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--pace", type=float, default=1.0, help="seconds between faults, on average")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="interlock-chaos-") as folder, standalone.serving() as servers:
        workers = Workers(Path(folder))
        try:
            report = performance.perform(
                servers, workers, seconds=given.seconds, seed=given.seed, pace_s=given.pace
            )
        finally:
            workers.stop_all()
    sys.stdout.write(report.as_text() + "\n")
    return 1 if report.wrong() else 0


if __name__ == "__main__":
    sys.exit(main())
