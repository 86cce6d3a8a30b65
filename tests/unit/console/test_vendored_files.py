"""The vendored files are the ones that the lock names, and fit the budgets."""

import gzip
import json
import re
from pathlib import Path

from console import bundling, vendoring

STATIC = vendoring.VENDOR.parent
FONTS_KB, CSS_KB, JS_KB, EDITOR_KB = 55, 12, 25, 140


def _kb(names: list[str]) -> float:
    return sum(len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in names) / 1024


def _with_imports(name: str) -> set[str]:
    """A module and all that it loads, as names under `static/console/`."""
    found = {name}
    for path in re.findall(r'from "(\.[^"]+)"|import "(\.[^"]+)"', (STATIC / name).read_text()):
        place = (STATIC / name).parent / (path[0] or path[1])
        found |= _with_imports(str(Path(place).resolve().relative_to(STATIC)))
    return found


def test_vendored_files_match_their_lock() -> None:
    lock = json.loads((vendoring.VENDOR / vendoring.LOCK).read_text())
    assert vendoring.hashes(vendoring.VENDOR) == lock["files"]
    assert [(package["name"], package["version"]) for package in lock["packages"]] == [
        (package.name, package.version) for package in vendoring.PACKAGES
    ]


def test_a_changed_vendored_file_is_found(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / vendoring.LOCK).write_text("{}")
        (tmp_path / folder / "x.js").write_text(folder)
    assert vendoring.differences(tmp_path / "a", tmp_path / "b") == ["x.js"]


def test_the_budgets_hold() -> None:
    fonts = sum(path.stat().st_size for path in vendoring.VENDOR.glob("*.woff2")) / 1024
    assert fonts <= FONTS_KB
    for page in (STATIC / "pages").glob("*.css"):
        assert _kb(["tokens.css", "app.css", f"pages/{page.name}"]) <= CSS_KB, page.name
    on_every_page = sorted(_with_imports("js/app.js"))
    assert _kb(["vendor/htmx-4.0.1.min.js", "vendor/hx-ptag-4.0.1.min.js", *on_every_page]) <= JS_KB
    assert f"vendor/{bundling.BUNDLE}" not in on_every_page
    assert _kb(sorted(_with_imports("js/editor.js") - set(on_every_page))) <= EDITOR_KB
