"""What the tools of random workflows call, in a child process of the worker. May not import the project."""

from __future__ import annotations

from pathlib import Path


def shaky(v: int, fails: int, counted_in: str) -> dict[str, int]:
    """Give `v` back; but fail the first `fails` calls that are counted under the same name."""
    for number in range(fails):
        try:
            Path(f"{counted_in}-{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        raise RuntimeError("not yet")
    return {"v": v}


def fragile(v: int, broken_by: str) -> dict[str, int]:
    """Give `v` back, unless there is this file."""
    if Path(broken_by).exists():
        raise RuntimeError("broken")
    return {"v": v}
