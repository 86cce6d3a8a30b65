"""What differs between two runs, each part as what it is: documents by rank, memory by key, texts as texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.safestring import SafeString

from console.drawing import json_text
from console.views import lineage
from workflows import pieces
from workflows.models import Run
from workflows.pieces import Piece
from workflows.replay.diff import RunDiff, Side, StepPair
from workflows.replay.overriding import INLINE
from workflows.spec.places import Path, written

Json = Any
LONG: Final = 80  # characters from which a text within JSON is compared by itself
_TAKEN: Final = "…"  # what stands in the JSON where a text was taken out


@dataclass(frozen=True)
class Ranked:
    """One document in both searches; a rank is None where that search did not find it. `address` may be blank."""

    name: str
    address: str
    left: int | None
    right: int | None

    @property
    def change(self) -> str:
        """Say what became of it from the left search to the right one; blank: it stands where it stood."""
        if self.left is None:
            return "came"
        if self.right is None:
            return "went"
        if self.left == self.right:
            return ""
        return f"{'up' if self.right < self.left else 'down'} {abs(self.right - self.left)}"


@dataclass(frozen=True)
class Text:
    """One text of both sides; what a side does not have is empty. `title` is blank for the whole of an aspect."""

    title: str
    left: str
    right: str


@dataclass(frozen=True)
class Remembered:
    """What one run read or wrote in a step. `address` is blank where there is no page of that version."""

    operation: str
    key: str
    version: int
    address: str
    value: SafeString


def ranked(left: Sequence[str], right: Sequence[str]) -> list[Ranked]:
    """Put the documents of two searches together, in the order in which the better of both ranks them."""
    ranks = [{name: rank for rank, name in reversed(list(enumerate(side, 1)))} for side in (left, right)]
    rows = [
        Ranked(name, home("revision", name), ranks[0].get(name), ranks[1].get(name))
        for name in dict.fromkeys([*left, *right])
    ]
    return sorted(rows, key=lambda row: min(rank for rank in (row.left, row.right) if rank))


def home(kind: str, name: str) -> str:
    """Address the page of a revision or a version of memory; blank: it is not of this installation, or gone."""
    if name.startswith(pieces.ELSEWHERE) or not name.rpartition("@")[2].isdecimal() or "@" not in name:
        return ""
    return lineage.home(Piece(kind=kind, name=name))


def memory(found: RunDiff, *, every: bool) -> list[dict[str, Any]]:
    """Say what each run read and wrote, step by step; `every`: also where both did the same."""
    return [
        {
            "path": pair.path,
            "left": _remembered(pair.left, found.left),
            "right": _remembered(pair.right, found.right),
            "differs": _in_memory(pair.left) != _in_memory(pair.right),
        }
        for pair in found.steps
        if (_in_memory(pair.left) or _in_memory(pair.right))
        and (every or _in_memory(pair.left) != _in_memory(pair.right))
    ]


def _in_memory(side: Side | None) -> Mapping[str, Json] | None:
    return side.memory if side is not None else None


def _remembered(side: Side | None, run: Run) -> Remembered | None:
    found = _in_memory(side)
    if found is None:
        return None
    # What a fork wrote only the fork sees: its versions are not those of the key.
    has_page = found["version"] > 0 and run.fork is None
    return Remembered(
        operation=str(found["operation"] or "used"),
        key=str(found["key"]).partition("/")[2],
        version=found["version"],
        address=home("memory", f"{found['key']}@{found['version']}") if has_page else "",
        value=json_text.highlight(json_text.serialise(json_text.without_bulk(found["value"]))),
    )


def texts(pair: StepPair, aspect: str) -> list[Text]:
    """Return the texts in which an aspect differs: those that a person reads as such, and what is left as JSON."""
    left, right = (_value(side, aspect) for side in (pair.left, pair.right))
    if all(value is None or isinstance(value, str) for value in (left, right)):
        return [Text("", left or "", right or "")]
    sides = [dict(_within(value)) for value in (left, right)]
    paths = [
        path
        for path in dict.fromkeys([*sides[0], *sides[1]])
        if any(_is_read(path, side.get(path, "")) for side in sides)
    ]
    found = [_text(path, sides, (left, right)) for path in paths]
    rest = [json_text.serialise(_rest(value, frozenset(paths))) for value in (left, right)]
    found.append(Text("The rest of it, as JSON" if paths else "", rest[0], rest[1]))
    return [text for text in found if text.left != text.right]


def _value(side: Side | None, aspect: str) -> Json:
    value = None if side is None else side.aspect(aspect)
    if aspect == "prompt" and isinstance(value, str) and value.endswith(f"@{INLINE}"):
        return f"{value.rpartition('@')[0]}, written for the fork"
    return value


def _within(value: Json, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield the texts in a value, each with where it stands."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _within(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _within(inner, (*path, index))


def _is_read(path: Path, text: str) -> bool:
    """Say whether a person reads it as a text: a message, what stands at the top, or what is long."""
    return _is_message(path) or len(path) == 1 or "\n" in text or len(text) >= LONG


def _is_message(path: Path) -> bool:
    return len(path) == 3 and (path[0], path[2]) == ("messages", "content")


def _text(path: Path, sides: Sequence[Mapping[Path, str]], values: Sequence[Json]) -> Text:
    """Name a text as a person would: `Message 2, user`. Another role of a message is a part of its text."""
    left, right = (side.get(path, "") for side in sides)
    if not _is_message(path):
        return Text(written(path), left, right)
    one, other = (_role(value, path[1]) for value in values)
    title = f"Message {int(path[1]) + 1}, {one or other}"
    if one and other and one != other:
        return Text(f"{title} then {other}", f"{one}:\n{left}", f"{other}:\n{right}")
    return Text(title, left, right)


def _role(value: Json, index: str | int) -> str:
    messages = value.get("messages") if isinstance(value, Mapping) else None
    if not isinstance(messages, list) or not isinstance(index, int) or index >= len(messages):
        return ""
    return str(messages[index].get("role", "")) if isinstance(messages[index], Mapping) else ""


def _rest(value: Json, taken: frozenset[Path]) -> Json:
    """Return what is left where texts are taken out; messages of which only the role is left are left out too."""
    rest = _without(value, taken)
    messages = rest.get("messages") if isinstance(rest, dict) else None
    if isinstance(messages, list) and all(
        isinstance(each, dict) and set(each) <= {"role"} for each in messages
    ):
        del rest["messages"]
    return rest


def _without(value: Json, taken: frozenset[Path], path: Path = ()) -> Json:
    if isinstance(value, Mapping):
        return {
            key: _without(inner, taken, (*path, key))
            for key, inner in value.items()
            if not (isinstance(inner, str) and (*path, key) in taken)
        }
    if isinstance(value, list):
        return [_without(inner, taken, (*path, index)) for index, inner in enumerate(value)]
    return _TAKEN if isinstance(value, str) and path in taken else value
