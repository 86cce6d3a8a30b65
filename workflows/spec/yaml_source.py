"""YAML 1.2 (core schema) to values with lines: no tags, timestamps or merge keys, bounded aliases (pure).

libyaml reads and gives events; what a plain scalar means is decided here, since PyYAML's own rules are those
of YAML 1.1 (`on` a boolean, `1:30` a number of seconds).
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

import yaml

from workflows.spec.building import Builder, StopReadingError
from workflows.spec.places import Mark

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o([0-7]+)\Z")
_HEX = re.compile(r"0x([0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
MAX_DIGITS = 300


def plain(text: str) -> Any:
    """What a plain scalar means in the core schema.

    Raises: ValueError for a number that JSON cannot hold or that would lose digits.
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if not (text[0].isdigit() or text[0] in "+-."):
        return text
    if _NOT_FINITE.match(text):
        raise ValueError("only finite numbers are allowed; put quotes around it if it is text")
    return number(text)


def number(text: str) -> Any:
    """A number if the text is one, else the text itself.

    Raises: ValueError.
    """
    if len(text) > MAX_DIGITS:
        if _FLOAT.match(text):
            raise ValueError("this number is too long; put quotes around it if it is text")
        return text
    if _INT.match(text):
        return int(text)
    for pattern, base in ((_OCTAL, 8), (_HEX, 16)):
        if match := pattern.match(text):
            return int(match[1], base)
    return exact(text) if _FLOAT.match(text) else text


def exact(text: str) -> float:
    """The number as a float, if that keeps every digit.

    Raises: ValueError.
    """
    value = float(text)
    if not math.isfinite(value) or Decimal(repr(value)) != Decimal(text):
        raise ValueError("this number has more digits than can be kept; put quotes around it")
    return value


class _Reader:
    """Feeds the builder with the events of one document after the other."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.anchors: dict[str, tuple[Any, Mark, int]] = {}
        self.open: list[str | None] = []

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.events.DocumentStartEvent):
            self.anchors.clear()
            self.builder.document(_line(event))
        elif isinstance(event, yaml.events.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.events.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, (yaml.events.SequenceStartEvent, yaml.events.MappingStartEvent)):
            self._refuse_tag(event)
            self.open.append(event.anchor)
            self.builder.start([] if isinstance(event, yaml.events.SequenceStartEvent) else {}, _line(event))
        elif isinstance(event, (yaml.events.SequenceEndEvent, yaml.events.MappingEndEvent)):
            built = self.builder.end()
            if anchor := self.open.pop():
                self.anchors[anchor] = built

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            self.builder.wrong(_line(event), f"the tag {event.tag!r}: tags are not allowed")

    def _scalar(self, event: Any) -> None:
        self._refuse_tag(event)
        line = _line(event)
        value = self._meaning(event, line)
        if self.builder.wants_key():
            if not isinstance(value, str):
                self.builder.wrong(line, f"the key {event.value!r} is not text; put quotes around it")
            elif value == "<<" and not event.style:
                self.builder.wrong(line, "merge keys (`<<`) are not allowed")
            self.builder.key(event.value, line)
            return
        self.builder.scalar(value, line)
        if event.anchor:
            self.anchors[event.anchor] = (value, Mark(line), 1)

    def _meaning(self, event: Any, line: int) -> Any:
        if "\0" in event.value:
            self.builder.wrong(line, "text may not hold a NUL character")
            return ""
        if event.style:
            return event.value
        try:
            return plain(event.value)
        except ValueError as error:
            self.builder.wrong(line, str(error))
            return 0

    def _alias(self, event: Any) -> None:
        line = _line(event)
        if event.anchor not in self.anchors:
            inside = " from inside the value that it names" if event.anchor in self.open else ""
            self.builder.wrong(line, f"the alias *{event.anchor} is used{inside or ' before its anchor'}")
            raise StopReadingError
        value, mark, nodes = self.anchors[event.anchor]
        if self.builder.wants_key():
            self.builder.wrong(line, "an alias cannot be a key")
            self.builder.key(f"*{event.anchor}", line)
            return
        self.builder.shared(value, mark, nodes, line)


def read(text: str, builder: Builder) -> None:
    """Read all documents of a YAML text into the builder."""
    reader = _Reader(builder)
    try:
        for event in yaml.parse(text, Loader=yaml.CLoader):
            reader.take(event)
    except StopReadingError:
        return
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        builder.wrong(line, f"this is not YAML: {_reason(error, text)}")
    except yaml.YAMLError as error:
        builder.wrong(_line_of_reader_error(text, error), "a character that YAML does not allow here")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _reason(error: yaml.MarkedYAMLError, text: str) -> str:
    words = ", ".join(str(part) for part in (error.context, error.problem) if part)
    mark = error.problem_mark
    lines = text.split("\n")
    is_tab = mark and mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t"
    return f"{words} (indent with spaces, not tabs)" if is_tab else words


def _line_of_reader_error(text: str, error: yaml.YAMLError) -> int:
    position = getattr(error, "position", 0)
    return text.encode("utf-8", "replace")[:position].count(b"\n") + 1
