"""The browser of the browser tests: found, or installed where that is ours to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# Chromium without the windows that nobody sees: the same pages at a third of the processor's time for a new context.
_SHELL: Final = "chromium-headless-shell"
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PLACES: Final = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)


def find(*, whole: bool = False) -> str | None:
    """Return the path of a Chromium of this machine, or None. `whole`: rather the one that people use."""
    shell = shutil.which(_SHELL)
    if shell and not whole:
        return shell
    return next(_whole_ones(), shell)


def _whole_ones() -> Iterator[str]:
    for name in _NAMES:
        if path := shutil.which(name):
            yield path
    yield from (place for place in _PLACES if Path(place).exists())


def install() -> None:
    """Install Chromium with apt-get where there is none and we may: root on Debian. Else say what to do."""
    if find():
        return
    told = ""
    if os.geteuid() == 0 and Path("/etc/debian_version").exists() and shutil.which("apt-get"):
        told = _apt_get("update")
        for name in () if told else (_SHELL, "chromium"):
            told = _apt_get("install", "-y", "--no-install-recommends", name)
            if not told:
                break
    if not find():
        sys.stdout.write(
            f"No Chromium: the browser tests will not run. Install one, such as `apt install {_SHELL}`.\n{told}"
        )


def _apt_get(*command: str) -> str:
    """Run apt-get; return what it says where it fails."""
    sys.stdout.write(f"Chromium for the browser tests: apt-get {command[0]} …\n")
    sys.stdout.flush()
    done = subprocess.run(
        ["apt-get", "-qq", *command],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{done.stdout[-1000:]}{done.stderr[-1000:]}\n" if done.returncode else ""
