"""Documents → YAML or JSON that reads back as the same documents (pure).

Own emitter, since it is small and what it writes has to read back exactly: a text stands plain only where
nothing could take it for anything else, as a block where it has lines, in double quotes otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

WIDTH = 100
MAX_SHORT = 8  # items in one line
LONG_KEY = 400  # YAML reads a key of more than 1,024 characters only where `?` marks it
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@-]*(?: [A-Za-z0-9_./@(-][A-Za-z0-9_./@()-]*)*\Z")
# What YAML 1.1 or 1.2 takes for something else than text.
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_BLOCK = re.compile("[^\\s\x00-\x1f\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
Format = Literal["yaml", "json"]


def dump(documents: Sequence[Mapping[str, Any]], format: Format = "yaml") -> str:
    """Write the bodies of documents: one YAML file of several documents, or one JSON list."""
    if format == "json":
        return json.dumps(list(documents), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return "---\n".join("".join(f"{line}\n" for line in _block(body)) for body in documents)


def _block(value: Any) -> Iterator[str]:
    """The lines of a value in block style."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            text = _text(key)
            if len(text) > LONG_KEY:
                yield f"? {text}"
            yield from _entry(":" if len(text) > LONG_KEY else f"{text}:", item)
    elif isinstance(value, (list, tuple)) and value:
        for item in value:
            yield from _item(item)
    else:
        yield _flow(value)


def _entry(head: str, value: Any) -> Iterator[str]:
    """A key and its value, on one line if it fits."""
    if isinstance(value, str) and _fits_block(value):
        yield f"{head} {'|' if value.endswith(chr(10)) else '|-'}"
        yield from (f"  {line}" if line else "" for line in value.removesuffix("\n").split("\n"))
    elif _is_short(value) and len(line := f"{head} {_flow(value)}") <= WIDTH:
        yield line
    elif isinstance(value, (Mapping, list, tuple)) and value:
        yield head
        yield from (f"  {line}" if line else "" for line in _block(value))
    else:
        yield f"{head} {_flow(value)}"


def _item(value: Any) -> Iterator[str]:
    if isinstance(value, (Mapping, list, tuple)) and not _is_short(value):
        first, *rest = _block(value)
        yield f"- {first}"
        yield from (f"  {line}" if line else "" for line in rest)
    else:
        yield from _entry("-", value)


def _is_short(value: Any) -> bool:
    """Whether the value may stand in one line: a scalar, or a list or mapping of scalars."""
    if not isinstance(value, (Mapping, list, tuple)):
        return True
    items = list(value.values()) if isinstance(value, Mapping) else value
    if isinstance(value, Mapping) and any(len(key) > WIDTH for key in value):
        return False
    return len(items) <= MAX_SHORT and all(_is_scalar(item) for item in items)


def _is_scalar(value: Any) -> bool:
    if isinstance(value, str):
        return not _fits_block(value)
    return not isinstance(value, (Mapping, list, tuple)) or not value


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str):
        return _text(value)
    return json.dumps(value, allow_nan=False)


def _text(value: str) -> str:
    if len(value) <= WIDTH and _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


def _fits_block(value: str) -> bool:
    """Whether a text may stand as a block: several lines, all printable, none that YAML would trim."""
    if "\n" not in value.rstrip("\n") or value.endswith("\n\n"):
        return False
    lines = value.removesuffix("\n").split("\n")
    if any(line != "" and not line.strip() for line in lines) or not _BLOCK.match(lines[0]):
        return False
    return all(_BLOCK.match(char) or char == " " for line in lines for char in line)
