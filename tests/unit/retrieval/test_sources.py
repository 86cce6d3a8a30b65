from __future__ import annotations

import os
from pathlib import Path

import pytest

from retrieval import sources
from retrieval.errors import RetrievalError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.md").write_text("a")
    (folder / "deep" / "b.md").write_text("b")
    (folder / "deep" / "er" / "c.html").write_text("c")
    (tmp_path / "secret.md").write_text("secret")
    return folder


def names(*paths: str, roots: list[Path]) -> list[str]:
    return [file.name for file in sources.list_sources(paths, roots=roots)]


def test_paths_and_globs_name_files_once(root: Path) -> None:
    assert names("**/*.md", "a.md", "deep/b.md", roots=[root]) == ["a.md", "deep/b.md"]
    assert names("**/*", roots=[root]) == ["a.md", "deep/b.md", "deep/er/c.html"]
    assert names(f"{root}/deep/**/*.html", roots=[root]) == ["deep/er/c.html"]
    assert names(str(root / "a.md"), roots=[root]) == ["a.md"]


def test_media_types_come_from_the_ending(root: Path) -> None:
    kinds = {file.name: file.media_type for file in sources.list_sources(["**/*"], roots=[root])}

    assert kinds["a.md"] == "text/markdown"
    assert kinds["deep/er/c.html"] == "text/html"


@pytest.mark.parametrize("pattern", ["../secret.md", "deep/../../secret.md", "/etc/passwd", "/etc/*"])
def test_paths_outside_the_roots_are_refused(root: Path, pattern: str) -> None:
    with pytest.raises(RetrievalError) as caught:
        sources.list_sources([pattern], roots=[root])
    assert caught.value.code == "outside_roots"


@pytest.mark.parametrize("pattern", ["nothing/*.md", "zzz.md", "", "  ", "a\0b", "deep"])
def test_a_pattern_without_files_is_an_error(root: Path, pattern: str) -> None:
    with pytest.raises(RetrievalError) as caught:
        sources.list_sources([pattern], roots=[root])
    assert caught.value.code == "no_sources"


def test_without_roots_nothing_is_allowed(root: Path) -> None:
    with pytest.raises(RetrievalError, match="INTERLOCK_CORPUS_ROOTS"):
        sources.list_sources(["a.md"], roots=[])


@pytest.mark.parametrize("link", ["file", "folder"])
def test_links_out_of_the_roots_are_refused(root: Path, link: str) -> None:
    if link == "file":
        (root / "out.md").symlink_to(root.parent / "secret.md")
        [file] = sources.list_sources(["out.md"], roots=[root])
    else:
        (root / "out").symlink_to(root.parent)
        [file] = sources.list_sources(["out/secret.md"], roots=[root])

    assert "leads out" in file.refused
    with pytest.raises(RetrievalError) as caught:
        sources.read_source(file, roots=[root], max_bytes=100)
    assert caught.value.code == "outside_roots"


def test_a_file_that_becomes_a_link_is_refused(root: Path) -> None:
    [file] = sources.list_sources(["a.md"], roots=[root])
    (root / "a.md").unlink()
    (root / "a.md").symlink_to(root.parent / "secret.md")

    with pytest.raises(RetrievalError) as caught:
        sources.read_source(file, roots=[root], max_bytes=100)
    assert caught.value.code == "outside_roots"


def test_links_inside_the_roots_are_followed(root: Path) -> None:
    (root / "same.md").symlink_to(root / "a.md")
    [file] = sources.list_sources(["same.md"], roots=[root])

    assert sources.read_source(file, roots=[root], max_bytes=100).data == b"a"


def test_files_that_vanish_or_grow_are_reported(root: Path) -> None:
    [file] = sources.list_sources(["a.md"], roots=[root])
    (root / "a.md").write_text("x" * 101)
    with pytest.raises(RetrievalError) as caught:
        sources.read_source(file, roots=[root], max_bytes=100)
    assert caught.value.code == "too_large"
    (root / "a.md").unlink()
    with pytest.raises(RetrievalError) as caught:
        sources.read_source(file, roots=[root], max_bytes=100)
    assert caught.value.code == "unreadable_document"


def test_a_pipe_is_no_document(root: Path) -> None:
    os.mkfifo(root / "pipe.md")

    assert "pipe.md" not in names("*.md", roots=[root])
