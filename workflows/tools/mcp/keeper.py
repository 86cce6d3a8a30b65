"""Runs a stdio server and ends it: `python -I -S keeper.py LIFELINE PROGRAM ARGUMENT…`.

LIFELINE is a pipe of which the process that calls the server holds the other end. However that process ends,
the pipe closes, and the keeper ends the server with all that it started. Standard library only.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

GRACE_S = 1.0
_POLL_S = 0.2


def main(lifeline: int, command: list[str]) -> None:
    """Start the server on our standard input and output, and stay until it or the lifeline has ended."""
    try:
        server = subprocess.Popen(command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # ours is meant for the server
    _leave_its_pipes_to_it()
    while server.poll() is None and not select.select([lifeline], [], [], _POLL_S)[0]:
        pass
    try:
        os.killpg(0, signal.SIGTERM)
        server.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        os.killpg(0, signal.SIGKILL)  # our group: whatever is left of the server, and ourselves


def _leave_its_pipes_to_it() -> None:
    """Else nobody would see that it closed them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
