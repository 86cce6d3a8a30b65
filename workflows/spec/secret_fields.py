"""Which fields of an input are secret (`x-secret: true` in its schema), and where such a mark may stand (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from workflows.spec import schema
from workflows.spec.masks import has_mask
from workflows.spec.places import Path, written
from workflows.spec.schema import Problem

Json = Any
MARK: Final = "x-secret"
SHORTEST: Final = 4  # characters; a shorter text would be found, and masked, in innocent ones
LONGEST: Final = 16_384
MOST: Final = 1_000  # secrets of one run: whatever comes back is searched for each
# A place in a value: names of keys; None is every item of a list.
Marked = tuple[str | None, ...]
_TEXT: Final = ("string", ["string", "null"], ["null", "string"])
_SHOWN: Final = ("default", "const", "enum", "examples", "example")
_VALUES: Final = frozenset(_SHOWN)
_NAMED: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})


def marked(declared: Json) -> tuple[Marked, ...]:
    """Return the places of the secrets in an input that fits a checked schema."""
    return tuple(place for place, _ in _plain(declared, (), ()) if place)


def problems(declared: Json, path: Path) -> Iterator[Problem]:
    """What is wrong with the marks of an input's schema that stands at a path."""
    plain = {found for _, found in _plain(declared, (), ()) if found}
    for found, part in _everywhere(declared, ()):
        mark = part[MARK]
        if not isinstance(mark, bool):
            yield (*path, *found, MARK), "is true or false"
        elif mark:
            yield from (((*path, *found, *key), told) for key, told in _wrong(part, is_plain=found in plain))


def misplaced(declared: Json, path: Path) -> Iterator[Problem]:
    """The marks of a schema that is not that of a workflow's input: accepted, they would promise what nobody keeps."""
    for found, part in _everywhere(declared, ()):
        if part[MARK] is not False:
            yield (
                (*path, *found, MARK),
                "only fields of a Workflow's `input` are kept secret; here it has no effect",
            )


def _wrong(part: Mapping[str, Json], *, is_plain: bool) -> Iterator[Problem]:
    if not is_plain:
        yield (
            (MARK,),
            "a secret is a field under `properties`, or the items of a list under `items`, all the way from the top: "
            "anywhere else nobody could tell which value it speaks of",
        )
    elif part.get("type") not in _TEXT:
        yield (MARK,), "a secret is a text: it needs `type: string`; write a number as text"
    for key in _SHOWN:
        if key in part:
            yield (key,), "a value of a secret field would stand in this document for everybody to read"


def _plain(declared: Json, place: Marked, path: Path) -> Iterator[tuple[Marked, Path]]:
    """The marked parts that only properties and items lead to, each with its place in a value and in the declared."""
    if not isinstance(declared, Mapping):
        return
    if declared.get(MARK) is True:
        yield place, path
    properties = declared.get("properties")
    for name, part in properties.items() if isinstance(properties, Mapping) else ():
        yield from _plain(part, (*place, name), (*path, "properties", name))
    if isinstance(declared.get("items"), Mapping) and "prefixItems" not in declared:
        yield from _plain(declared["items"], (*place, None), (*path, "items"))


def _everywhere(
    declared: Json, path: Path, *, names: bool = False
) -> Iterator[tuple[Path, Mapping[str, Json]]]:
    """Every part of a declared that has a mark, wherever it stands. `names`: its keys are the author's, no keywords."""
    if isinstance(declared, Mapping):
        if MARK in declared and not names:
            yield path, declared
        for key, inner in declared.items():
            if names or key not in _VALUES:
                yield from _everywhere(inner, (*path, key), names=not names and key in _NAMED)
    elif isinstance(declared, list):
        for index, inner in enumerate(declared):
            yield from _everywhere(inner, (*path, index))


def changed(value: Json, places: tuple[Marked, ...], change: Callable[[Path, str], Json]) -> Json:
    """Return a value with something else for each text at the places. `change` gets its exact path and the text."""
    for place in places:
        value = _changed(value, place, (), change)
    return value


def texts(value: Json, places: tuple[Marked, ...]) -> dict[Path, str]:
    """Return the texts at the places of a value, each with its exact path."""
    found: dict[Path, str] = {}
    changed(value, places, lambda path, text: found.setdefault(path, text))
    return found


def problems_apart(declared: schema.Schema, value: Json) -> tuple[tuple[str, str], ...]:
    """What is wrong with a value, as paths and messages, but for texts in which a mask stands: what it stands for is
    judged where it is known."""
    found = schema.problems_of_value(declared, value)
    return tuple((written(path), told) for path, told in found if not _is_masked(value, path))


def _is_masked(value: Json, path: Path) -> bool:
    for key in path:
        try:
            value = value[key]
        except (LookupError, TypeError):
            return False
    return isinstance(value, str) and has_mask(value)


def _changed(value: Json, place: Marked, path: Path, change: Callable[[Path, str], Json]) -> Json:
    if not place:
        return change(path, value) if isinstance(value, str) else value
    key, rest = place[0], place[1:]
    if key is None:
        if not isinstance(value, list):
            return value
        return [_changed(item, rest, (*path, index), change) for index, item in enumerate(value)]
    if not isinstance(value, Mapping) or key not in value:
        return value
    return {**value, key: _changed(value[key], rest, (*path, key), change)}
