"""Take texts out of a packed run, wherever they stand, so that what is left still fits together. Pure.

Each text is replaced by the same mark everywhere, and every hash is computed anew: a replay renders the mark where
the text was, and comes to the same hashes. Only a template that looks inside of the text would notice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from workflows import payloads
from workflows.errors import Invalid

Json = Any
SHORTEST: Final = 4  # characters; a shorter text would be found in innocent ones
_HASH: Final = 64


def texts(given: Json, paths: Sequence[str]) -> dict[str, str]:
    """Return {text: mark} for the texts at some paths of a run's input. Raises: Invalid."""
    found: dict[str, str] = {}
    for number, path in enumerate(paths, 1):
        value = given
        for key in path.removeprefix("input.").split("."):
            if isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            else:
                value = value.get(key) if isinstance(value, Mapping) else None
        if not isinstance(value, str):
            raise Invalid(f"{path[:200]} is no text in the run's input.", code="not_a_text")
        if len(value) < SHORTEST:
            raise Invalid(
                f"{path[:200]} has {len(value)} characters; from {SHORTEST} on a text can be told from others.",
                code="text_too_short",
            )
        found[value] = f"[redacted {number}]"
    return found


def redacted(body: Mapping[str, Json], secrets: Mapping[str, str]) -> dict[str, Json]:
    """Return a packed run without the texts, its hashes computed anew."""
    pairs = [
        (form, mark)
        for text, mark in sorted(secrets.items(), key=lambda pair: -len(pair[0]))
        for form in dict.fromkeys((text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]))
    ]
    renamed: dict[str, str] = {}
    values = dict(body["values"])
    left = set(values)
    while left:  # a value that names others comes after them
        ready = [key for key in left if not (_hashes_in(values[key]) & left - {key})]
        if not ready:
            ready = list(left)
        for key in ready:
            value = _replaced(values.pop(key), pairs, renamed)
            renamed[key] = payloads.digest(value).hex()
            values[renamed[key]] = value
        left -= set(ready)
    rest = {name: _replaced(part, pairs, renamed) for name, part in body.items() if name != "values"}
    return {**rest, "values": {key: value for key, value in values.items() if key in set(renamed.values())}}


def _hashes_in(value: Json) -> set[str]:
    if isinstance(value, str):
        return {value} if len(value) == _HASH else set()
    if isinstance(value, Mapping):
        return {key for each in value.values() for key in _hashes_in(each)}
    if isinstance(value, list):
        return {key for each in value for key in _hashes_in(each)}
    return set()


def _replaced(value: Json, pairs: Sequence[tuple[str, str]], renamed: Mapping[str, str]) -> Json:
    if isinstance(value, str):
        if value in renamed:
            return renamed[value]
        for text, mark in pairs:
            value = value.replace(text, mark)
        return value
    if isinstance(value, Mapping):
        return {_replaced(key, pairs, {}): _replaced(each, pairs, renamed) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(each, pairs, renamed) for each in value]
    return value
