"""`python -m tests.benchmarks [names]`: every benchmark of this folder, on servers of its own, and one table.

A benchmark is a module here with `measure(stand, rounds, scale) -> list[Row]`; a new one needs no registration.
"""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module
from typing import Any

from tests import benchmarks
from tests.benchmarks import frame


def found() -> dict[str, Any]:
    """Return the benchmark modules by name."""
    modules = {
        name: import_module(f"tests.benchmarks.{name}")
        for _, name, is_package in pkgutil.iter_modules(benchmarks.__path__)
        if not is_package and name != "__main__"
    }
    return {name: module for name, module in modules.items() if hasattr(module, "measure")}


def main() -> int:
    given, modules = frame.arguments(), found()
    unknown = [name for name in given.names if name not in modules]
    if unknown:
        sys.stderr.write(f"There is no benchmark {', '.join(unknown)}. There are: {', '.join(modules)}.\n")
        return 2
    rows: list[frame.Row] = []
    try:
        with frame.standing() as stand:
            for name in given.names or modules:
                frame.note(f"{name} …")
                rows += modules[name].measure(stand, given.rounds, 0.1 if given.quick else 1.0)
    finally:
        frame.print_table(rows)  # one that fails does not take the figures of the others with it
    return 0


if __name__ == "__main__":
    sys.exit(main())
