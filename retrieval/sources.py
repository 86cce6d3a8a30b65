"""Find and read the files of a corpus, under the allowed roots only. May not touch the database."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from retrieval import parsing
from retrieval.errors import RetrievalError

MAX_FILES: Final = 200_000
_WILD: Final = frozenset("*?[")


@dataclass(frozen=True)
class SourceFile:
    """A file that a source names. `name` is its path below the root; it names the document too."""

    name: str
    path: str
    media_type: str
    size: int
    refused: str = ""  # why it will not be read: a link that leads out of the roots


@dataclass(frozen=True)
class SourceDocument:
    """A document to ingest. `source` says where it came from; by default its name."""

    name: str
    media_type: str
    data: bytes
    metadata: Mapping[str, object] = field(default_factory=dict)
    source: str = ""


def list_sources(paths: Sequence[str], *, roots: Sequence[Path]) -> tuple[SourceFile, ...]:
    """List the files that paths and globs name, by name, each once.

    Relative paths are looked up below each root. A pattern that matches no file is an error, not an empty
    list: a folder that is not mounted must not empty a corpus. Links that lead out of the roots are refused.

    Raises: RetrievalError `no_sources`, `outside_roots`.
    """
    real_roots = _real(roots)
    found: dict[str, SourceFile] = {}
    for pattern in paths:
        listed = {file.name: file for file in _matches(pattern, real_roots)}
        if not listed:
            raise RetrievalError(
                "no_sources",
                f"{pattern!r} matches no file below {_words(real_roots)}: "
                "check the path, and that the folder is mounted and readable.",
            )
        found = listed | found
    return tuple(found[name] for name in sorted(found))


def read_source(file: SourceFile, *, roots: Sequence[Path], max_bytes: int) -> SourceDocument:
    """Read a listed file, which is checked again: it may have become a link since.

    Raises: RetrievalError `outside_roots`, `too_large`, `unreadable_document`.
    """
    path, real_roots = Path(file.path), _real(roots)
    if not _is_inside(path, real_roots):
        raise _outside(file.name, real_roots)
    try:
        # Not following a link that replaced the file after the check; not waiting on a pipe.
        descriptor = os.open(path.resolve(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            data = stream.read(max_bytes + 1)
    except OSError as error:
        raise RetrievalError(
            "unreadable_document", f"{file.name!r} cannot be read: {error.strerror}."
        ) from error
    if len(data) > max_bytes:
        raise RetrievalError(
            "too_large", f"{file.name!r} is too large: it has more than {max_bytes:,} bytes, the limit."
        )
    return SourceDocument(file.name, file.media_type, data, source=file.path)


def _real(roots: Sequence[Path]) -> tuple[Path, ...]:
    if not roots:
        raise RetrievalError(
            "outside_roots",
            "No folder is allowed as a source of documents; name some in INTERLOCK_CORPUS_ROOTS.",
        )
    return tuple(Path(root).resolve() for root in roots)


def _words(roots: Sequence[Path]) -> str:
    return ", ".join(map(str, roots))


def _is_inside(path: Path, roots: Sequence[Path]) -> bool:
    real = path.resolve()
    return any(real.is_relative_to(root) for root in roots)


def _outside(what: object, roots: Sequence[Path]) -> RetrievalError:
    return RetrievalError(
        "outside_roots",
        f"{str(what)!r} leads out of the allowed folders ({_words(roots)}); "
        "allow its folder in INTERLOCK_CORPUS_ROOTS, or remove it.",
    )


def _matches(pattern: str, roots: Sequence[Path]) -> Iterator[SourceFile]:
    """Yield the files of one pattern."""
    if "\0" in pattern or not pattern.strip():
        raise RetrievalError("no_sources", f"{pattern!r} is not a path.")
    count = 0
    for root, relative in _places(pattern, roots):
        for path in root.glob(relative) if _WILD & set(relative) else [root / relative]:
            if path.is_file():
                count += 1
                if count > MAX_FILES:
                    raise RetrievalError("no_sources", f"{pattern!r} names more than {MAX_FILES:,} files.")
                yield _file(path, path.relative_to(root).as_posix(), roots)


def _file(path: Path, name: str, roots: Sequence[Path]) -> SourceFile:
    kind = parsing.media_type_of(name)
    if not _is_inside(path, roots):
        return SourceFile(name, str(path), kind, 0, refused=_outside(name, roots).message)
    return SourceFile(name, str(path), kind, path.stat().st_size)


def _places(pattern: str, roots: Sequence[Path]) -> list[tuple[Path, str]]:
    """Express a pattern relative to each root that it may name files of."""
    path = Path(pattern)
    if ".." in path.parts:
        raise _outside(pattern, roots)
    if not path.is_absolute():
        return [(root, pattern) for root in roots]
    wild = next((at for at, part in enumerate(path.parts) if _WILD & set(part)), len(path.parts))
    full = Path(*path.parts[:wild]).resolve().joinpath(*path.parts[wild:])
    below = [(root, full.relative_to(root).as_posix()) for root in roots if full.is_relative_to(root)]
    if not below:
        raise _outside(pattern, roots)
    return below
