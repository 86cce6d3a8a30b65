"""`make test`: the checks, and beside them every test, on several cores. Arguments are pytest's: then it runs on one.

Each process has servers of its own, so that a test which kills Postgres kills nobody else's.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.checks import BIN, ROOT, TESTED, failed_checks
from tests.chromium import install

# Python's own form of a traceback: for pytest's, source is parsed, and where a browser test failed deep in a greenlet
# Python 3.11 gives up on that (“AST constructor recursion depth mismatch”), and takes the whole run with it.
_TRACEBACK: Final = "--tb=native"
# One process for each core, up to as many as the fault tests' time limits bear.
PARALLEL = ("-n", "auto", "--maxprocesses", "4", "--dist", "worksteal", _TRACEBACK)
# Tests that drive a browser or whole processes may run out of time beside others on a busy machine. A few of them
# that failed are tried once more, alone, and named at the end; of any other test the first word is the last.
_ON_A_CLOCK: Final = ("tests/browser/", "tests/acceptance/", "tests/web/test_run_stream.py")
_NEVER_TWICE: Final = ("tests/acceptance/test_chaos.py",)
_FEW: Final = 5
_FAILED: Final = 1  # pytest's exit status where tests failed, and nothing worse


def main(arguments: list[str]) -> int:
    install()
    told = io.StringIO()
    with ThreadPoolExecutor(1) as beside:
        # Most of them on one core for a minute; what two of them test is among the tests.
        checks = beside.submit(failed_checks, told, but=() if arguments else TESTED)
        status = _pytest(*(arguments or PARALLEL))
        if status == _FAILED and not arguments:
            status = _once_more()
        failed = checks.result()
    sys.stdout.write(told.getvalue())
    if failed:
        sys.stdout.write(f"make check failed: {', '.join(failed)}; see above.\n")
    return status or bool(failed)


def _pytest(*arguments: str) -> int:
    return subprocess.run([str(BIN / "pytest"), *arguments], cwd=ROOT, check=False).returncode


def _once_more() -> int:
    """Try what failed once more, alone, where that may have been the machine."""
    names = _last_failed(ROOT)
    if not 0 < len(names) <= _FEW or not all(map(_may_be_the_machine, names)):
        return _FAILED
    sys.stdout.write("\nOnce more, alone:\n")
    sys.stdout.flush()
    status = _pytest(*names, _TRACEBACK)
    if status == 0:
        sys.stdout.write(f"UNSTEADY: failed beside others, passed alone: {', '.join(names)}\n")
    return status


def _last_failed(root: Path) -> list[str]:
    kept = root / ".pytest_cache" / "v" / "cache" / "lastfailed"
    return sorted(json.loads(kept.read_text())) if kept.exists() else []


def _may_be_the_machine(name: str) -> bool:
    return name.startswith(_ON_A_CLOCK) and not name.startswith(_NEVER_TWICE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
