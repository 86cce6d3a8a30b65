"""JSON Schemas that authors write: are they right, and does a value fit? Safe against hostile ones (pure).

The validator is jsonschema-rs; patterns go to an engine that matches in linear time. Before a schema gets
there we refuse what could make it run for ever or look outside: references that go in circles or grow without
bound, and references to anything but the schema itself. Keywords that it does not know (`x-secret`) mean
nothing to it.
May not: show a value in a message; it may be a secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonschema_rs

from workflows.spec import sentences
from workflows.spec.places import Path, written

MAX_ERRORS = 100
MAX_WEIGHT = 5_000  # subschemas, with every reference followed
MAX_DEPTH = 100
MAX_PATTERN = 1_000
_REGEX_BYTES = 1_000_000
_CACHED = 512

_VALUES = frozenset({"const", "enum", "default", "examples", "example"})
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})

Schema = Mapping[str, Any] | bool
Problem = tuple[Path, str]


class SchemaError(ValueError):
    """A schema that cannot be used; `path` is the place in it."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{written(path)}: {message}" if path else message)
        self.path = path
        self.message = message


def errors(schema: Schema, value: Any) -> tuple[tuple[str, str], ...]:
    """What is wrong with the value, as paths (`order.lines[2]`) and messages; empty if it fits.

    Raises: SchemaError if the schema itself is wrong.
    """
    return tuple((written(path), message) for path, message in problems_of_value(schema, value))


def problems_of_value(schema: Schema, value: Any) -> tuple[Problem, ...]:
    """As `errors`, with the paths as tuples."""
    validator = _validator(_canonical(schema))
    try:
        found = list(islice(validator.iter_errors(value), MAX_ERRORS))
    except ValueError as error:  # too deep, half of a character, not JSON at all
        return (((), f"this is not a value that can be checked: {str(error).splitlines()[0][:200]}"),)
    return tuple(sorted({problem for one in found for problem in sentences.of(one, schema)}, key=_order))


def problems_of_schema(schema: Any) -> tuple[Problem, ...]:
    """What is wrong with a schema itself; empty if it can be used."""
    try:
        _validator(_canonical(schema))
    except SchemaError as error:
        return ((error.path, error.message),)
    return ()


def _order(problem: Problem) -> tuple[list[str], str]:
    return [str(key).rjust(9, "0") if isinstance(key, int) else key for key in problem[0]], problem[1]


def _canonical(schema: Any) -> str:
    try:
        return json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SchemaError((), f"this is not a JSON Schema: {error}") from error


@lru_cache(maxsize=_CACHED)
def _validator(text: str) -> jsonschema_rs.Validator:
    schema = json.loads(text)
    _Guard(schema).check()
    options = jsonschema_rs.RegexOptions(size_limit=_REGEX_BYTES, dfa_size_limit=_REGEX_BYTES)
    try:
        return jsonschema_rs.validator_for(
            schema, pattern_options=options, offline=True, validate_formats=True
        )
    except jsonschema_rs.ValidationError as error:
        raise SchemaError(tuple(error.instance_path), sentences.of_schema(error)) from error
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise SchemaError((), f"this is not a JSON Schema: {str(error).splitlines()[0][:200]}") from error


class _Guard:
    """Refuses schemas that could look outside, go in circles or blow up."""

    def __init__(self, schema: Any) -> None:
        self.root = schema
        self.weights: dict[str, int] = {}
        self.open: set[str] = set()

    def check(self) -> None:
        self._weight(self.root, (), 0)

    def _weight(self, schema: Any, path: Path, depth: int) -> int:
        """How many subschemas there are from here on, every reference followed."""
        if depth > MAX_DEPTH:
            raise SchemaError(path, f"the schema is nested deeper than {MAX_DEPTH} levels")
        if not isinstance(schema, (dict, list)):
            return 1
        names = bool(path) and path[-1] in _NAMED  # its keys are names that the author chose, not keywords
        total = 1
        for key, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
            keyword = "" if names else key
            total += self._weight_of_key(keyword, value, (*path, key), depth)
            if total > MAX_WEIGHT:
                raise SchemaError(path, f"the schema has more than {MAX_WEIGHT:,} parts, references followed")
        return total

    def _weight_of_key(self, key: str | int, value: Any, path: Path, depth: int) -> int:
        if key in _VALUES:
            return 1
        if key in ("$dynamicRef", "$recursiveRef", "$id", "id") and isinstance(value, str):
            raise SchemaError(
                path, f"`{key}` is not allowed here; refer to a part of this schema with `$ref`"
            )
        if key == "$ref" and isinstance(value, str):
            return self._weight_of_reference(value, path, depth)
        if key == "pattern" and isinstance(value, str) and len(value) > MAX_PATTERN:
            raise SchemaError(path, f"a pattern may have {MAX_PATTERN:,} characters")
        return self._weight(value, path, depth + 1)

    def _weight_of_reference(self, reference: str, path: Path, depth: int) -> int:
        if reference in self.open:
            raise SchemaError(path, "this reference goes in a circle; a schema cannot contain itself")
        if reference not in self.weights:
            self.open.add(reference)
            self.weights[reference] = self._weight(self._target(reference, path), path, depth + 1)
            self.open.discard(reference)
        return self.weights[reference]

    def _target(self, reference: str, path: Path) -> Any:
        if not reference.startswith("#/"):
            raise SchemaError(path, "a reference may only name a part of this schema: `#/$defs/NAME`")
        target = self.root
        for part in reference[2:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            target = target.get(key) if isinstance(target, dict) else None
            if target is None:
                raise SchemaError(path, f"{reference!r} is not a part of this schema")
        return target
