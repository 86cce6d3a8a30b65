"""`make test`: the checks, then every test in one pytest session. Arguments are pytest's."""

from __future__ import annotations

import subprocess
import sys

from tests.checks import BIN, ROOT, failed_checks
from tests.chromium import install


def main(arguments: list[str]) -> int:
    failed = failed_checks()
    install()
    pytest = subprocess.run([str(BIN / "pytest"), *arguments], cwd=ROOT, check=False)
    if failed:
        sys.stdout.write(f"make check failed: {', '.join(failed)}; see above.\n")
    return pytest.returncode or bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
