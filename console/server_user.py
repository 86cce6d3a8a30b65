"""Which system user the embedded servers run as, and what that user can reach.

Postgres refuses to run as root. May not change the permissions of anything outside the home.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from functools import cache
from pathlib import Path

NAME = "interlock"
# Only root writes there, and nothing clears it while servers run.
_COPIES = Path("/var/cache/interlock")
_NOT_RUN = shutil.ignore_patterns("include", "*.a", "__pycache__", "*.py")


@cache
def server_user() -> tuple[int, int] | None:
    """Return (user id, group id) to run servers as, None for our own. Made once where we are root.

    Raises:
        PermissionError: we are root and there is no unprivileged user to become.
    """
    if os.geteuid() != 0:
        return None
    if not _exists(NAME) and (useradd := shutil.which("useradd")):
        subprocess.run(
            [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "--user-group", NAME],
            capture_output=True,
            check=False,  # a read-only /etc: `nobody` serves as well
        )
    for name in (NAME, "nobody"):
        if _exists(name):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise PermissionError(
        "Postgres does not run as root, and there is no system user to run it as: "
        f"create one (useradd --system {NAME}), or start Interlock as an ordinary user, "
        "or set DATABASE_URL to a Postgres of your own."
    )


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def reachable(path: Path) -> bool:
    """Tell whether the servers' user can get at `path`: every folder above it must let others pass."""
    if server_user() is None:
        return True
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)


def give(path: Path) -> None:
    """Make the servers' user the owner of one file or folder."""
    if user := server_user():
        os.chown(path, *user)


def runnable(package: Path, *, release: str) -> Path:
    """Return a wheel's folder, or a copy that the servers' user can reach if it is below a closed folder.

    Typical case: a checkout in /root, whose folder is closed to others. Opening it is not ours to do.
    """
    if reachable(package):
        return package
    place = _COPIES / f"{package.name}-{release}"
    if not place.is_dir():
        _COPIES.mkdir(parents=True, exist_ok=True, mode=0o755)
        partial = Path(tempfile.mkdtemp(prefix=place.name, dir=_COPIES))
        # The libraries that a wheel brings lie beside its package, and its programs look for them there.
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.is_dir():
                shutil.copytree(folder, partial / folder.name, symlinks=True, ignore=_NOT_RUN)
        partial.chmod(0o755)
        partial.rename(place)
    return place / package.name
