"""Bring the browser's libraries, fonts and icons into `static/console/vendor/`, pinned and hashed.

`python -m console.vendoring` rebuilds the folder with npm; `--check` rebuilds it elsewhere and compares.
Runs without Django and is never imported by the product: nobody who installs Interlock needs npm.
It may not name a registry: npm's own configuration decides where packages come from.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from console import bundling
from console.drawing.icon_names import ICON_NAMES

VENDOR = Path(__file__).resolve().parent / "static" / "console" / "vendor"
LOCK = "vendor.lock.json"


@dataclass(frozen=True)
class Package:
    """One npm package and what we take of it: path inside the package → our file name."""

    name: str
    version: str
    files: dict[str, str]


PACKAGES = (
    Package(
        "htmx.org",
        "4.0.1",
        {
            "dist/htmx.min.js": "htmx-4.0.1.min.js",
            "dist/ext/hx-ptag.min.js": "hx-ptag-4.0.1.min.js",
            "LICENSE": "htmx.LICENSE.txt",
        },
    ),
    Package(
        "@fontsource-variable/geist",
        "5.3.0",
        {"files/geist-latin-wght-normal.woff2": "geist.woff2", "LICENSE": "geist.LICENSE.txt"},
    ),
    Package(
        "@fontsource-variable/geist-mono",
        "5.3.0",
        {
            "files/geist-mono-latin-wght-normal.woff2": "geist-mono.woff2",
            "LICENSE": "geist-mono.LICENSE.txt",
        },
    ),
    Package("lucide-static", "1.62.0", {"LICENSE": "lucide.LICENSE.txt"}),
    *(Package(name, version, {}) for name, version in bundling.LIBRARIES.items()),
)


def _unpack(package: Package, into: Path) -> tuple[Path, str]:
    """Fetch one package; return its unpacked folder and the sha-256 of its archive."""
    into.mkdir(parents=True)
    subprocess.run(
        ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
        cwd=into,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    archive = next(into.glob("*.tgz"))
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="data")
    return into / "package", hashlib.sha256(archive.read_bytes()).hexdigest()


def sprite(icons: Path) -> str:
    """Draw the icons that the console uses as one SVG of symbols."""
    symbols = []
    for name in ICON_NAMES:
        source = (icons / f"{name}.svg").read_text()
        inner = re.search(r"<svg[^>]*>(.*)</svg>", re.sub(r"<!--.*?-->", "", source, flags=re.S), re.S)
        if inner is None:
            raise SystemExit(f"{name}.svg is not an SVG that we can read.")
        drawing = re.sub(r"\s+", " ", inner.group(1)).strip()
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" '
            f'stroke-linecap="round" stroke-linejoin="round">{drawing}</symbol>'
        )
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def _without_map(data: bytes) -> bytes:
    """Drop the pointer to a source map that we do not ship: browsers with open tools would ask for it."""
    return re.sub(rb"\n?//# sourceMappingURL=.*\s*$", b"\n", data)


def build(target: Path) -> None:
    """Write every vendored file and the lock into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    packages, libraries = [], {}
    with tempfile.TemporaryDirectory() as scratch:
        for number, package in enumerate(PACKAGES):
            folder, archive_sha256 = _unpack(package, Path(scratch) / str(number))
            for source, name in package.files.items():
                data = (folder / source).read_bytes()
                (target / name).write_bytes(_without_map(data) if name.endswith(".js") else data)
            if package.name == "lucide-static":
                (target / "icons.svg").write_text(sprite(folder / "icons"))
            packages.append({"name": package.name, "version": package.version, "sha256": archive_sha256})
            if package.name in bundling.LIBRARIES:
                libraries[package.name] = folder
        esbuild = Package(bundling.esbuild_package(), bundling.ESBUILD_VERSION, {})
        tool, _ = _unpack(esbuild, Path(scratch) / "esbuild")
        bundling.bundle(libraries, esbuild=tool, work=Path(scratch) / "bundle", into=target)
    lock = {"packages": packages, "files": hashes(target)}
    (target / LOCK).write_text(json.dumps(lock, indent=2) + "\n")


def hashes(folder: Path) -> dict[str, str]:
    """Return the sha-256 of every vendored file by name, the lock itself left out."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != LOCK
    }


def differences(rebuilt: Path, committed: Path) -> list[str]:
    """Name the files that are not the same in both folders, the lock included."""
    here, there = hashes(rebuilt), hashes(committed)
    names = [name for name in sorted({*here, *there}) if here.get(name) != there.get(name)]
    locks_differ = not (committed / LOCK).exists() or (
        (rebuilt / LOCK).read_bytes() != (committed / LOCK).read_bytes()
    )
    return [*names, LOCK] if locks_differ else names


def main() -> int:
    """Rebuild the folder, or compare a rebuilt one with it; the exit status says which way it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only, change nothing")
    if not parser.parse_args().check:
        build(VENDOR)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        build(Path(scratch) / "vendor")
        names = differences(Path(scratch) / "vendor", VENDOR)
    if names:
        sys.stderr.write(f"Vendored files differ from a rebuild: {', '.join(names)}. Run `make vendor`.\n")
    return 1 if names else 0


if __name__ == "__main__":
    raise SystemExit(main())
