"""What a value that fits a JSON Schema looks like: for whoever has to write one by hand (pure)."""

from __future__ import annotations

from typing import Any, Final

Json = Any
_MAX_DEPTH: Final = 6
_MAX_KEYS: Final = 40
_OF_TYPE: Final[dict[str, Json]] = {
    "string": "…",
    "integer": 0,
    "number": 0,
    "boolean": False,
    "null": None,
}


def of(schema: Json, *, depth: int = 0) -> Json:
    """Return an outline of what fits `schema`: every key, and in place of each value one that shows its type.

    An outline, not an example: it need not be valid, and it says nothing true. What the schema leaves open is null.
    """
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    told = _told(schema)
    if told:
        return told[0]
    for several in ("oneOf", "anyOf", "allOf"):
        if isinstance(schema.get(several), list) and schema[several] and "properties" not in schema:
            return of(schema[several][0], depth=depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else None)
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object":
        return _object(schema, depth)
    if kind == "array":
        inner = of(schema.get("items"), depth=depth + 1)
        return [] if inner is None else [inner]
    return _OF_TYPE.get(kind) if isinstance(kind, str) else None


def _told(schema: dict[str, Json]) -> list[Json]:
    """Return a value that the schema itself names, in a list; an empty list: it names none."""
    if "const" in schema:
        return [schema["const"]]
    for key in ("enum", "examples"):
        if isinstance(schema.get(key), list) and schema[key]:
            return [schema[key][0]]
    return [schema["default"]] if "default" in schema else []


def _object(schema: dict[str, Json], depth: int) -> dict[str, Json]:
    properties = schema.get("properties")
    named = list(properties.items())[:_MAX_KEYS] if isinstance(properties, dict) else []
    return {key: of(inner, depth=depth + 1) for key, inner in named}
