"""Make the editor of the console: CodeMirror's packages, bundled into one file by esbuild.

A part of `console.vendoring`, with its rules: pinned versions, no registry named, never imported by the product.
Every package that ends up in the bundle is listed here, so that a new one is a decision; `editor/source.js`
says what of them is used.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).resolve().parent / "editor" / "source.js"
BUNDLE: Final = "codemirror.min.js"
LICENSES: Final = "codemirror.LICENSE.txt"
LIBRARIES: Final[Mapping[str, str]] = {
    "@codemirror/autocomplete": "6.20.4",
    "@codemirror/commands": "6.11.1",
    "@codemirror/lang-json": "6.0.2",
    "@codemirror/lang-yaml": "6.1.3",
    "@codemirror/language": "6.13.1",
    "@codemirror/lint": "6.9.8",
    "@codemirror/search": "6.7.2",
    "@codemirror/state": "6.7.6",
    "@codemirror/streamparser": "6.0.0",
    "@codemirror/view": "6.43.15",
    "@lezer/common": "1.5.5",
    "@lezer/highlight": "1.2.5",
    "@lezer/json": "1.0.3",
    "@lezer/lr": "1.4.12",
    "@lezer/yaml": "1.0.4",
    "@marijn/find-cluster-break": "1.0.4",
    "crelt": "1.0.7",
    "style-mod": "4.1.5",
    "w3c-keyname": "2.2.8",
}
# The tool itself is one binary per kind of machine: all write the same bundle, which the lock holds them to.
ESBUILD_VERSION: Final = "0.28.2"
_SYSTEMS: Final = {"Linux": "linux", "Darwin": "darwin"}
_MACHINES: Final = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def esbuild_package() -> str:
    """Return the name of esbuild's package for this machine. Raises: SystemExit where there is none."""
    system, machine = platform.system(), platform.machine().lower()
    if system not in _SYSTEMS or machine not in _MACHINES:
        raise SystemExit(f"The editor cannot be bundled on {system} {machine}: use Linux or macOS.")
    return f"@esbuild/{_SYSTEMS[system]}-{_MACHINES[machine]}"


def bundle(folders: Mapping[str, Path], *, esbuild: Path, work: Path, into: Path) -> None:
    """Write the bundle and its licences; `folders` are the unpacked libraries by name, `work` is empty."""
    modules = work / "node_modules"
    for name, folder in folders.items():
        place = modules / name
        place.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(place)
    source = work / SOURCE.name
    source.write_bytes(SOURCE.read_bytes())
    options = ["--bundle", "--minify", "--format=esm", "--target=es2022", "--legal-comments=none"]
    subprocess.run(
        [esbuild / "bin" / "esbuild", source.name, *options, "--log-level=warning", f"--outfile={BUNDLE}"],
        cwd=work,
        check=True,
    )
    (into / BUNDLE).write_bytes((work / BUNDLE).read_bytes())
    (into / LICENSES).write_text(_licences(modules))


def _licences(modules: Path) -> str:
    """Every licence once, under the names of the packages that it belongs to."""
    packages: dict[str, list[str]] = {}
    for name, version in LIBRARIES.items():
        packages.setdefault(_licence(modules / name), []).append(f"{name} {version}")
    return "\n\n".join(f"{', '.join(names)}\n\n{text}" for text, names in packages.items()) + "\n"


def _licence(folder: Path) -> str:
    found = sorted(folder.glob("LICENSE*"))
    if not found:
        raise SystemExit(f"{folder.name} comes without a licence.")
    return found[0].read_text().strip()
