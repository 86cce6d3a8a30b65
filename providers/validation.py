"""Structured output: a model's text → a JSON value → checked against its schema, and what to tell the model.

Pure: it calls no model; the engine runs the repair rounds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jsonschema_rs
from pydantic_core import from_json

from providers.messages import Json, Message

_MAX_ERRORS = 20
# Places in a text where a JSON value may begin; more are not tried.
_MAX_STARTS = 64
_FENCE = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)
# A string, to be passed over, or a comma that nothing but an end follows.
_TRAILING_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)
_OPENING = re.compile(r"[{\[]")


def _no_number(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Where in the value, as `items[0].name` (empty for the whole), and what is wrong there."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path or 'the answer'}: {self.message}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """A text read by a schema: `value` counts only without problems."""

    value: Json = None
    problems: tuple[Problem, ...] = ()

    @property
    def is_valid(self) -> bool:
        return not self.problems


def check(text: str, schema: Mapping[str, Json]) -> Checked:
    """Read the model's text as JSON, whatever stands around it, and check it against the schema.

    Raises: ValueError for a schema that is none.
    """
    text = text.encode("utf-8", "replace").decode()
    found = list(_values(text))
    for value in found:
        if not _problems(value, schema):
            return Checked(value=value)
    # A schema of a plain text, answered in plain text.
    plain = text.strip()
    if plain and not _problems(plain, schema):
        return Checked(value=plain)
    if not found:
        return Checked(problems=(Problem(path="", message="it is not JSON"),))
    return Checked(value=found[0], problems=_problems(found[0], schema))


def repair_message(problems: tuple[Problem, ...]) -> Message:
    """What to tell a model whose answer did not fit: the problems only, not the answer."""
    lines = "\n".join(f"- {problem}" for problem in problems)
    return Message(
        role="user",
        content=f"Your answer does not fit the required JSON Schema:\n{lines}\n"
        "Answer again, with the JSON value alone.",
    )


def _values(text: str) -> Iterator[Json]:
    """The JSON values that the text may mean, the likeliest first."""
    pieces = [text.strip(), *(match.strip() for match in _FENCE.findall(text))]
    pieces += [_TRAILING_COMMA.sub(_without_comma, piece) for piece in pieces]
    for piece in pieces:
        try:
            yield from_json(piece, allow_inf_nan=False)
        except ValueError:
            continue
    yield from _embedded(text)
    yield from _embedded(_TRAILING_COMMA.sub(_without_comma, text))


def _embedded(text: str) -> Iterator[Json]:
    """Objects and lists with prose around them."""
    position = 0
    for _ in range(_MAX_STARTS):
        found = _OPENING.search(text, position)
        if found is None:
            return
        try:
            value, position = _DECODER.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            position = found.end()
            continue
        yield value


def _without_comma(match: re.Match[str]) -> str:
    return "" if match[0] == "," else match[0]


def _problems(value: Json, schema: Mapping[str, Json]) -> tuple[Problem, ...]:
    problems = []
    for error in _validator(json.dumps(schema, sort_keys=True)).iter_errors(value):
        problems.append(Problem(path=_path(error.instance_path), message=error.message[:500]))
        if len(problems) == _MAX_ERRORS:
            break
    return tuple(problems)


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    return jsonschema_rs.validator_for(json.loads(schema), retriever=_refuse)


def _refuse(address: str) -> Json:
    """A schema may not make us fetch anything."""
    raise ValueError(f"{address} is outside of the schema")


def _path(parts: list[str | int]) -> str:
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else (f".{part}" if path else str(part))
    return path
