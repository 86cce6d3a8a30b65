"""Where things are in a document: paths as people write them, lines, and the errors that name both (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]

MAX_WRITTEN = 20  # keys of a path
MAX_KEY = 80
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


@dataclass(frozen=True, order=True)
class SpecError:
    """One thing that is wrong with a document. `line` counts from 1; 0 where there is none."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class Mark:
    """The line of a node and the marks of its children."""

    __slots__ = ("children", "line")

    def __init__(self, line: int, children: dict[str | int, Mark] | None = None) -> None:
        self.line = line
        self.children = children

    def find(self, path: Sequence[str | int]) -> int:
        """The line of the node at the path, or of the last one on the way that exists."""
        mark = self
        for key in path:
            child = mark.children.get(key) if mark.children else None
            if child is None:
                break
            mark = child
        return mark.line


@dataclass(frozen=True)
class Where:
    """The file that a document stands in, and the line of each of its nodes."""

    file: str
    mark: Mark

    def find(self, path: Sequence[str | int]) -> tuple[str, int]:
        return self.file, self.mark.find(path)

    def error(self, path: Sequence[str | int], message: str) -> SpecError:
        return SpecError(self.file, self.mark.find(path), written(path), message)


NOWHERE = Where("", Mark(0))


def written(path: Sequence[str | int]) -> str:
    """The path as people write it: `steps[2].with.ticket`; empty for the document itself."""
    text = ""
    for key in path[:MAX_WRITTEN]:
        if isinstance(key, str) and len(key) > MAX_KEY:
            key = f"{key[:MAX_KEY]}…"
        if isinstance(key, str) and _PLAIN_KEY.match(key):
            text += f".{key}" if text else key
        else:
            text += f"[{key!r}]" if isinstance(key, str) else f"[{key}]"
    return text if len(path) <= MAX_WRITTEN else f"{text}…"
