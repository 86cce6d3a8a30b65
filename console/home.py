"""The home of an installation: one folder with the embedded servers' data, secrets, logs and addresses.

May not import Django: it is used before there are settings.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VARIABLE = "INTERLOCK_HOME"


class HomeError(Exception):
    """The home cannot be used; the message says why and what to do."""


def take_home(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Take `--home DIR` or `--home=DIR` out of a command line; returns what is left, and DIR.

    Raises:
        HomeError: `--home` without a folder.
    """
    rest: list[str] = []
    home: str | None = None
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == "--home":
            home = next(words, "")
        elif word.startswith("--home="):
            home = word.removeprefix("--home=")
        else:
            rest.append(word)
    if home == "":
        raise HomeError("--home wants a folder: --home DIR")
    return rest, home


@dataclass(frozen=True)
class Home:
    """Paths and small files of one home."""

    path: Path

    @classmethod
    def at(cls, named: str | None) -> Home:
        """The home that `--home` or INTERLOCK_HOME names; by default `.interlock` beside manage.py."""
        return cls(Path(named).expanduser().resolve() if named else ROOT / ".interlock")

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def create(self) -> None:
        """Make the folder and whatever secrets it lacks; closed to other users of the machine.

        Raises:
            HomeError: it cannot be made or written.
        """
        try:
            for folder in (self.path, self.logs, self.path / "secrets"):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.secret("secret_key", lambda: secrets.token_urlsafe(48))
            self.secret("encryption_key", _new_key)
        except OSError as error:
            raise HomeError(
                f"{self.path} cannot be used as home ({error.strerror}: {error.filename}): "
                "choose a folder that you may write with --home DIR."
            ) from None

    def secret(self, name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(24)) -> str:
        """Return a secret of this installation, made when it is first asked for."""
        path = self.path / "secrets" / name
        if not path.exists():
            _write_private(path, make() + "\n")
        return path.read_text().strip()

    def runtime(self) -> dict[str, object]:
        """What the running `up` wrote down: addresses of its servers. Empty where there is none."""
        return read_runtime(self.path)

    def write_runtime(self, values: Mapping[str, object]) -> None:
        _write_private(self.path / "runtime.json", json.dumps(values, indent=1) + "\n")

    def lock(self) -> int:
        """Claim this home for as long as the process lives; the kernel frees it however that ends.

        Raises:
            HomeError: another `up` runs on it.
        """
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            runtime = self.runtime()
            raise HomeError(
                f"Interlock already runs on {self.path} (process {runtime.get('pid', 'unknown')}, "
                f"{runtime.get('web_url', 'still starting')}): stop that one, or give this one a home "
                "of its own with --home DIR."
            ) from None
        return handle


def _new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def throwaway_secrets() -> dict[str, str]:
    """Secrets for a process that keeps nothing, in the form of environment variables."""
    return {"INTERLOCK_SECRET_KEY": secrets.token_urlsafe(48), "INTERLOCK_ENCRYPTION_KEY": _new_key()}


def read_runtime(home: Path) -> dict[str, object]:
    """Read a home's runtime.json.

    Raises:
        HomeError: the file is no JSON object.
    """
    path = home / "runtime.json"
    try:
        loaded = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        loaded = None
    if not isinstance(loaded, dict):
        raise HomeError(f"{path} is damaged: remove it; `manage.py up` writes it anew.")
    return loaded


def _write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by us alone."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
