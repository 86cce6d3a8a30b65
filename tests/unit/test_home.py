from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.home import ROOT, Home, HomeError, take_home


def test_home_is_taken_from_anywhere_on_the_command_line() -> None:
    assert take_home(["manage.py", "--home", "/x", "up"]) == (["manage.py", "up"], "/x")
    assert take_home(["manage.py", "up", "--home=/x", "--port", "1"]) == (
        ["manage.py", "up", "--port", "1"],
        "/x",
    )
    assert take_home(["manage.py", "runs"]) == (["manage.py", "runs"], None)


def test_what_follows_two_dashes_is_left_alone() -> None:
    assert take_home(["x", "--", "--home", "/x"]) == (["x", "--", "--home", "/x"], None)


@pytest.mark.parametrize("words", [["up", "--home"], ["up", "--home="]])
def test_home_without_a_folder_is_an_error(words: list[str]) -> None:
    with pytest.raises(HomeError, match="--home DIR"):
        take_home(words)


@given(st.lists(st.text(alphabet="-home=/x ", max_size=8)))
def test_other_words_pass_unchanged(words: list[str]) -> None:
    others = [word for word in words if not word.startswith("--home") and word != "--"]
    assert take_home(others) == (others, None)


def test_the_default_home_lies_beside_manage_py() -> None:
    assert Home.at(None).path == ROOT / ".interlock"
    assert Home.at("").path == ROOT / ".interlock"


def test_a_home_and_its_secrets_are_closed_to_others(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    home.create()
    for path in [home.path, *home.path.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_secrets_are_made_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    before = home.secret("secret_key")
    home.create()
    assert home.secret("secret_key") == before
    assert before != Home(tmp_path / "other").path.name


def test_a_home_that_is_a_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="--home DIR"):
        Home(tmp_path / "file").create()


@pytest.mark.parametrize("rubbish", ["", "{", "[]", "\x00", "null"])
def test_a_damaged_runtime_file_is_named(tmp_path: Path, rubbish: str) -> None:
    (tmp_path / "runtime.json").write_text(rubbish)
    with pytest.raises(HomeError, match=r"runtime\.json is damaged"):
        Home(tmp_path).runtime()


def test_a_home_is_locked_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    handle = home.lock()
    home.write_runtime({"pid": 4711, "web_url": "http://127.0.0.1:8000/"})
    with pytest.raises(HomeError, match=r"already runs on .* \(process 4711, http://127.0.0.1:8000/\)"):
        home.lock()
    os.close(handle)
    os.close(home.lock())
