"""The locks agree with what they were made from, with each other, and name no registry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).resolve().parents[2] / "requirements"
NAMES = sorted(path.stem for path in FOLDER.glob("*.in"))
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    found = _PIN.findall((FOLDER / f"{name}.txt").read_text())
    return {canonicalize_name(package): version for package, version in found}


def wanted(name: str) -> list[Requirement]:
    lines = [line.partition("#")[0].strip() for line in (FOLDER / f"{name}.in").read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_pins_all_that_is_asked_for(name: str) -> None:
    pinned = pins(name)
    for requirement in wanted(name):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version, f"{requirement} is not in requirements/{name}.txt: run requirements/compile"
        assert requirement.specifier.contains(version, prereleases=True), (
            f"{requirement} is pinned to {version}"
        )


@pytest.mark.parametrize("name", NAMES)
def test_every_pin_has_a_hash_and_no_address(name: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text()
    assert "://" not in text
    for entry in re.split(r"\n(?=[A-Za-z0-9])", text):
        if _PIN.match(entry):
            assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_locks_agree_on_every_version() -> None:
    seen: dict[str, tuple[str, str]] = {}
    for name in NAMES:
        for package, version in pins(name).items():
            first = seen.setdefault(package, (version, name))
            assert first[0] == version, f"{package}: {version} in {name}, {first[0]} in {first[1]}"


def test_every_direct_dependency_has_its_reason() -> None:
    reasons = (FOLDER.parent / "docs" / "dependencies.md").read_text().lower()
    missing = [r.name for name in NAMES for r in wanted(name) if f"`{r.name.lower()}`" not in reasons]
    assert not missing, "say in docs/dependencies.md why each is here"
