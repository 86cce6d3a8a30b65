"""`make test` itself: which failed tests get a second try, and which do not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import __main__ as suite

BROWSER = "tests/browser/test_tasks.py::test_one"


@pytest.mark.parametrize(
    ("failed", "again"),
    [
        ([BROWSER], True),
        ([BROWSER, "tests/acceptance/test_timers.py::test_one"], True),
        ([BROWSER, "tests/db/engine/test_leases.py::test_one"], False),
        (["tests/acceptance/test_chaos.py::test_nothing_is_lost"], False),
        ([f"{BROWSER}[{n}]" for n in range(6)], False),
        ([], False),
    ],
)
def test_only_a_few_tests_that_run_on_a_clock_are_tried_again(
    failed: Sequence[str], again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / ".pytest_cache" / "v" / "cache"
    cache.mkdir(parents=True)
    (cache / "lastfailed").write_text(json.dumps(dict.fromkeys(failed, True)))
    asked: list[Sequence[str]] = []

    def second(*names: str) -> int:
        asked.append(names)
        return 0

    monkeypatch.setattr(suite, "ROOT", tmp_path)
    monkeypatch.setattr(suite, "_pytest", second)
    assert suite._once_more() == (0 if again else 1)
    assert asked == ([(*sorted(failed), suite._TRACEBACK)] if again else [])
