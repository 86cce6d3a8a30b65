"""JSON to values with lines, duplicate keys noticed (pure). Texts are scanned by the standard library."""

from __future__ import annotations

import json.decoder
import re
from collections.abc import Callable
from typing import Any, NoReturn

from workflows.spec import yaml_source
from workflows.spec.building import Builder, StopReadingError

_scan_text: Callable[[str, int, bool], tuple[str, int]] = vars(json.decoder)["scanstring"]
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}
_HALF = re.compile("[\ud800-\udfff]")


class _Scanner:
    """Walks over the text once; the stack holds the closing bracket of every open list and mapping."""

    def __init__(self, text: str, builder: Builder) -> None:
        self.text = text
        self.builder = builder
        self.at = 0
        self.line = 1
        self.closing: list[str] = []
        self.wants_value = True

    def read(self) -> None:
        while self.wants_value or self.closing:
            if self.wants_value:
                self._value()
            else:
                self._after_value()
        if self._next():
            self._stop("nothing may follow the value")

    def _space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        end = match.end() if match else self.at
        self.line += self.text.count("\n", self.at, end)
        self.at = end

    def _stop(self, message: str) -> NoReturn:
        self.builder.wrong(self.line, f"this is not JSON: {message}")
        raise StopReadingError

    def _next(self) -> str:
        self._space()
        return self.text[self.at : self.at + 1]

    def _value(self) -> None:
        """Read a scalar, or open a list or mapping as far as its first value."""
        self.wants_value = False
        char = self._next()
        line = self.line
        if char == "{":
            self._open({}, "}")
        elif char == "[":
            self._open([], "]")
        else:
            self.builder.scalar(self._text() if char == '"' else self._bare(), line)

    def _open(self, value: list[Any] | dict[str, Any], closing: str) -> None:
        self.builder.start(value, self.line)
        self.closing.append(closing)
        self.at += 1
        if self._next() == closing:
            self._close()
        else:
            self._member()

    def _member(self) -> None:
        """Read as far as the next value of the innermost list or mapping."""
        if self.closing[-1] == "}":
            if self._next() != '"':
                self._stop("a key in double quotes is needed here")
            line = self.line
            self.builder.key(self._text(), line)
            if self._next() != ":":
                self._stop("a colon is needed after the key")
            self.at += 1
        self.wants_value = True

    def _after_value(self) -> None:
        char = self._next()
        if char == ",":
            self.at += 1
            self._member()
        elif char == self.closing[-1]:
            self._close()
        else:
            self._stop(f"a comma or `{self.closing[-1]}` is needed here")

    def _close(self) -> None:
        self.at += 1
        self.closing.pop()
        self.builder.end()

    def _text(self) -> str:
        try:
            value, end = _scan_text(self.text, self.at + 1, True)
        except json.JSONDecodeError as error:
            self.line += self.text.count("\n", self.at, error.pos)
            self._stop(error.msg[:1].lower() + error.msg[1:])
        self.line += self.text.count("\n", self.at, end)
        self.at = end
        if "\0" in value or _HALF.search(value):
            self.builder.wrong(self.line, "text may not hold a NUL character or half of a character")
        return value

    def _bare(self) -> Any:
        for word, value in _WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        match = _NUMBER.match(self.text, self.at)
        if match is None:
            self._stop("a value is needed here")
        self.at = match.end()
        try:
            return yaml_source.number(match[0])
        except ValueError as error:
            self.builder.wrong(self.line, str(error))
            return 0


def read(text: str, builder: Builder) -> None:
    """Read one JSON value into the builder."""
    try:
        _Scanner(text, builder).read()
    except StopReadingError:
        return
