"""`make test`: the checks, then every test, on several cores. Arguments are pytest's, and then it runs on one.

Each process has servers of its own, so that a test which kills Postgres kills nobody else's.
"""

from __future__ import annotations

import subprocess
import sys

from tests.checks import BIN, ROOT, failed_checks
from tests.chromium import install

# One process for each core, up to as many as the fault tests' time limits bear.
PARALLEL = ("-n", "auto", "--maxprocesses", "4", "--dist", "worksteal")


def main(arguments: list[str]) -> int:
    failed = failed_checks()
    install()
    pytest = subprocess.run([str(BIN / "pytest"), *(arguments or PARALLEL)], cwd=ROOT, check=False)
    if failed:
        sys.stdout.write(f"make check failed: {', '.join(failed)}; see above.\n")
    return pytest.returncode or bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
