"""The browser of the browser tests: found, or installed where that is ours to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PLACES = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)


def find() -> str | None:
    """Return the path of a Chromium of this machine, or None."""
    for name in _NAMES:
        if path := shutil.which(name):
            return path
    return next((place for place in _PLACES if Path(place).exists()), None)


def install() -> None:
    """Install Chromium with apt-get where there is none and we may: root on Debian. Else say what to do."""
    if find():
        return
    if os.geteuid() == 0 and Path("/etc/debian_version").exists() and shutil.which("apt-get"):
        sys.stdout.write("Installing Chromium for the browser tests with apt-get …\n")
        sys.stdout.flush()
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (("update",), ("install", "-y", "--no-install-recommends", "chromium")):
            done = subprocess.run(
                ["apt-get", "-qq", *command], env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.stdout.write(
                    f"apt-get {command[0]} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}\n"
                )
                return
    if not find():
        sys.stdout.write(
            "No Chromium: the browser tests will not run. Install one, such as `apt install chromium`.\n"
        )
