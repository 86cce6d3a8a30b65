"""What a validator found, in plain words (pure).

A subschema of ours may say what it expects (`x-expected`), in place of a pattern or of a list of forms.
May not: show the value that was checked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema_rs

from workflows.spec import near
from workflows.spec.places import Path

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "null",
}
_FORMATS = {"date-time": "a time such as 2025-01-31T09:30:00Z", "email": "an email address", "uri": "a URL"}


def of(error: jsonschema_rs.ValidationError, schema: Any) -> Iterator[tuple[Path, str]]:
    """The sentences for one error: one for each unknown key, else one."""
    path: Path = tuple(error.instance_path)
    name = error.kind.name
    holder = _holder(schema, error.schema_path)
    if name in ("additionalProperties", "unevaluatedProperties"):
        known = list(holder.get("properties", ()))
        for key in error.kind.as_dict()["unexpected"]:
            yield (*path, key), unknown_key(key, known)
    elif name == "propertyNames" and "x-expected" in holder:
        yield path, f"every key must be {holder['x-expected']}"
    elif name in ("type", "pattern", "anyOf", "oneOf") and "x-expected" in holder:
        yield path, f"must be {holder['x-expected']}"
    else:
        yield path, _sentence(error, name)


def unknown_key(key: str, known: list[str]) -> str:
    meant = near.nearest(key, known)
    if meant:
        return f"unknown key; did you mean `{meant}`?"
    return f"unknown key; possible here: {', '.join(sorted(known))}" if known else "unknown key"


def of_schema(error: jsonschema_rs.ValidationError) -> str:
    """The sentence for a schema that is wrong itself."""
    keyword = error.instance_path[-1] if error.instance_path else ""
    name = error.kind.name
    if name in ("format", "pattern"):
        return "is not a pattern that can be matched in linear time (no look-around, no back-references)"
    if name == "$ref":
        return "the `$schema` is not one that we know; leave it out for the draft 2020-12"
    if keyword == "type":
        return f"must be one of the JSON types {', '.join(_TYPES)}"
    return _sentence(error, name)


def _holder(schema: Any, path: list[str | int]) -> Mapping[str, Any]:
    """The subschema whose keyword failed; empty if it cannot be told (behind a reference)."""
    for key in path[:-1]:
        if isinstance(schema, Mapping):
            schema = schema.get(str(key))
        else:
            schema = dict(enumerate(schema)).get(int(key)) if isinstance(schema, list) else None
    return schema if isinstance(schema, Mapping) else {}


def _sentence(error: jsonschema_rs.ValidationError, name: str) -> str:
    write = _SENTENCES.get(name)
    return write(error.kind) if write else f"does not fit the schema ({name})"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _choices(kind: Any) -> str:
    options = [_shown(option) for option in kind.options]
    more = ", …" if len(options) > 20 else ""
    return f"must be one of {', '.join(options[:20])}{more}"


def _types(kind: Any) -> str:
    return f"must be {' or '.join(_TYPES.get(name, name) for name in sorted(kind.types))}"


def _forms(kind: Any) -> str:
    found = dict.fromkeys(_sentence(one, one.kind.name) for form in kind.context for one in form)
    if not found:
        return "fits several of the allowed forms; it has to fit exactly one"
    return f"fits none of the allowed forms: {'; or '.join(list(found)[:5])}"


def _limit(text: str) -> Callable[[Any], str]:
    return lambda kind: text.format(kind.limit)


_SENTENCES: Mapping[str, Callable[[Any], str]] = {
    "required": lambda kind: f"needs the key `{kind.property}`",
    "type": _types,
    "enum": _choices,
    "const": lambda kind: f"must be {_shown(kind.expected_value)}",
    "pattern": lambda kind: f"does not match the pattern {_shown(kind.pattern)}",
    "format": lambda kind: f"is not {_FORMATS.get(kind.format, f'of the format {kind.format}')}",
    "minimum": _limit("must be at least {}"),
    "maximum": _limit("must be at most {}"),
    "exclusiveMinimum": _limit("must be more than {}"),
    "exclusiveMaximum": _limit("must be less than {}"),
    "multipleOf": lambda kind: f"must be a multiple of {kind.multiple_of}",
    "minLength": _limit("must have at least {} characters"),
    "maxLength": _limit("must have at most {} characters"),
    "minItems": _limit("must have at least {} items"),
    "maxItems": _limit("must have at most {} items"),
    "minProperties": _limit("must have at least {} keys"),
    "maxProperties": _limit("must have at most {} keys"),
    "uniqueItems": lambda kind: "must not hold the same value twice",
    "contains": lambda kind: "holds no item of the needed kind",
    "falseSchema": lambda kind: "is not allowed here",
    "not": lambda kind: "has a form that is not allowed",
    "anyOf": _forms,
    "oneOf": _forms,
    "propertyNames": lambda kind: "has a key whose name is not allowed",
}
