"""JSON as coloured text: one pass over the serialised value, every piece escaped."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

from django.utils.safestring import SafeString, mark_safe

from console.formats import printable, size

_PIECES = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*"(?=:))|(?P<text>"(?:[^"\\]|\\.)*")|(?P<value>-?\d[\d.eE+-]*|true|false|null)'
)
_CLASSES = {"key": "json-key", "text": "json-text", "value": "json-value"}


def serialise(value: object) -> str:
    """Write a JSON value over several lines, in Unicode, safe to send as UTF-8."""
    return printable(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _colour(piece: re.Match[str]) -> str:
    kind = piece.lastgroup or ""
    return f'<span class="{_CLASSES[kind]}">{escape(piece[0], quote=False)}</span>'


def highlight(text: str) -> SafeString:
    """Colour serialised JSON; also a text that was cut off in the middle."""
    parts, end = [], 0
    for piece in _PIECES.finditer(text):
        parts.append(escape(text[end : piece.start()], quote=False))
        parts.append(_colour(piece))
        end = piece.end()
    parts.append(escape(text[end:], quote=False))
    return mark_safe("".join(parts))  # noqa: S308 - every piece above is escaped


_BULK_FROM = 1024  # shorter texts are shown, whatever they are
_ENCODED = re.compile(
    r"(?:data:(?P<type>[\w.+-]+/[\w.+-]+)[\w;=.-]*;base64,)?(?P<body>[A-Za-z0-9+/_\r\n-]+={0,2})\s*"
)
_MAGIC = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "JVBERi0": "application/pdf",
    "UEsDB": "application/zip",
    "UklGR": "audio or image",
    "SUQz": "audio/mpeg",
}


def without_bulk(value: Any) -> Any:
    """Put type and size in the place of base64: nobody reads it, and it hides the rest."""
    if isinstance(value, dict):
        return {key: without_bulk(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_bulk(inner) for inner in value]
    if isinstance(value, str) and len(value) >= _BULK_FROM:
        return _bulk(value) or value
    return value


def _bulk(text: str) -> str:
    found = _ENCODED.fullmatch(text)
    if found is None:
        return ""
    body, kind = found["body"], found["type"]
    start = body[:400]
    mixed = sum(bool(re.search(part, start)) for part in ("[A-Z]", "[a-z]", "[0-9]")) == 3
    if not kind and not mixed:
        return ""
    kind = kind or next((name for magic, name in _MAGIC.items() if body.startswith(magic)), "binary")
    return f"‹{kind}, {size(len(body) * 3 // 4)} in base64›"


def indent_part(text: str) -> str:
    """Set the beginning of a compact JSON text over several lines; it may end anywhere."""
    parts: list[str] = []
    depth, end = 0, 0
    for piece in _STRUCTURE.finditer(text):
        parts.append(text[end : piece.start()])
        end = piece.end()
        mark = piece["mark"]
        if mark is None:
            parts.append(piece[0])
            continue
        if mark in "}]":
            depth -= 1
            parts.append("\n" + "  " * depth + mark)
        elif mark in "{[":
            depth += 1
            parts.append(mark + "\n" + "  " * depth)
        else:
            parts.append(",\n" + "  " * depth if mark == "," else ": ")
    parts.append(text[end:])
    return printable(_unescaped("".join(parts)))


_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)|(?P<mark>[{}\[\],:])')
_ESCAPES = re.compile(r"(?:\\u[0-9a-f]{4})+")


def _unescaped(text: str) -> str:
    """Write the characters of other scripts as themselves: the canonical form is ASCII."""

    def plain(found: re.Match[str]) -> str:
        try:
            decoded = json.loads(f'"{found[0]}"')
        except ValueError:
            return found[0]
        return found[0] if any(each in '"\\' or each < " " for each in decoded) else str(decoded)

    return _ESCAPES.sub(plain, text)
