"""What the readers of YAML and JSON share: values are built from events, with lines, within bounds (pure).

May not: recurse (an author may nest as deep as he likes, until `MAX_DEPTH` refuses it), or raise for what is
wrong inside a document: it is noted, so that all of it can be told at once.
"""

from __future__ import annotations

from typing import Any, NoReturn

from workflows.spec.places import Mark, Path, SpecError, written

MAX_DEPTH = 64
MAX_NODES = 50_000  # in one document
MAX_ALL_NODES = 300_000  # in one file
MAX_DOCUMENTS = 5_000  # in one file


class StopReadingError(Exception):
    """The rest of the source cannot or need not be read."""


class _Level:
    """A list or mapping that is being read."""

    __slots__ = ("children", "is_key", "key", "key_line", "mark", "nodes_before", "value")

    def __init__(self, value: Any, line: int, nodes_before: int, *, is_key: bool) -> None:
        self.value = value
        self.children: dict[str | int, Mark] = {}
        self.mark = Mark(line, self.children)
        self.nodes_before = nodes_before
        self.is_key = is_key
        self.key: Any = None
        self.key_line = 0


class Builder:
    """Builds one value from events; `finished` and `mark` hold it at the end."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.errors: list[SpecError] = []
        self.nodes = 0
        self._nodes_before_document = 0
        self.finished: list[tuple[Any, Mark]] = []
        self._levels: list[_Level] = []

    def wants_key(self) -> bool:
        """Whether the next scalar is a key of a mapping."""
        return (
            bool(self._levels) and isinstance(self._levels[-1].value, dict) and self._levels[-1].key is None
        )

    def path(self) -> Path:
        steps: list[str | int] = []
        for level in self._levels:
            if isinstance(level.value, list):
                steps.append(len(level.value))
            elif level.key is not None:
                steps.append(str(level.key))
        return tuple(steps)

    def wrong(self, line: int, message: str) -> None:
        self.errors.append(SpecError(self.file, line, written(self.path()), message))

    def count(self, line: int, nodes: int = 1) -> None:
        if not self._levels:
            self._nodes_before_document = self.nodes
        self.nodes += nodes
        if self.nodes - self._nodes_before_document > MAX_NODES:
            self._too_many(line, "document", MAX_NODES)
        if self.nodes > MAX_ALL_NODES:
            self._too_many(line, "file", MAX_ALL_NODES)

    def document(self, line: int) -> None:
        """A document starts."""
        if len(self.finished) >= MAX_DOCUMENTS:
            self.wrong(line, f"this file holds more than {MAX_DOCUMENTS:,} documents; split it")
            raise StopReadingError

    def _too_many(self, line: int, what: str, most: int) -> NoReturn:
        self.wrong(line, f"this {what} holds more than {most:,} values; make it smaller")
        raise StopReadingError

    def start(self, value: list[Any] | dict[str, Any], line: int) -> None:
        self.count(line)
        if len(self._levels) >= MAX_DEPTH:
            self.wrong(line, f"nested deeper than {MAX_DEPTH} levels")
            raise StopReadingError
        is_key = self.wants_key()
        if is_key:
            self.wrong(line, "a key has to be text, not a list or mapping")
        self._levels.append(_Level(value, line, self.nodes - 1, is_key=is_key))

    def end(self) -> tuple[Any, Mark, int]:
        """Close the innermost list or mapping; returns it with its mark and its number of nodes."""
        level = self._levels.pop()
        self._attach(level.value, level.mark, is_key=level.is_key)
        return level.value, level.mark, self.nodes - level.nodes_before

    def key(self, key: str, line: int) -> None:
        self.count(line)
        level = self._levels[-1]
        if key in level.value:
            level.key = key
            self.wrong(line, f"this key is there twice; the first is in line {level.children[key].line}")
        level.key, level.key_line = key, line

    def scalar(self, value: Any, line: int) -> None:
        self.count(line)
        self._attach(value, Mark(line), is_key=False)

    def shared(self, value: Any, mark: Mark, nodes: int, line: int) -> None:
        """Put in a value that was built before (a YAML alias)."""
        self.count(line, nodes)
        self._attach(value, Mark(line, mark.children), is_key=self.wants_key())

    def _attach(self, value: Any, mark: Mark, *, is_key: bool) -> None:
        if not self._levels:
            self.finished.append((value, mark))
            return
        level = self._levels[-1]
        if is_key:
            level.key, level.key_line = "?", mark.line
        elif isinstance(level.value, list):
            level.children[len(level.value)] = mark
            level.value.append(value)
        else:
            level.children[level.key] = Mark(level.key_line, mark.children)
            level.value.setdefault(level.key, value)
            level.key = None
