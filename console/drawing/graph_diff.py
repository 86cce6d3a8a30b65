"""Two versions of a workflow as one graph: what was added, removed, changed or moved. Pure.

The picture is that of the later version; what was removed stands where it stood before. May not draw.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Final, Literal

from console.drawing.graph import Dress
from console.drawing.graph_model import Graph, Group, Node, documents, read, walk

Json = Any
Word = Literal["added", "removed", "changed", "moved"]
_LOOKS: Final[Mapping[str, tuple[str, str]]] = {
    "added": ("plus", "ok"),
    "removed": ("minus", "bad"),
    "changed": ("pencil", "wait"),
    "moved": ("pencil", "wait"),
}


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What became of one step; `keys` name the parts of it that differ."""

    id: str
    word: Word
    keys: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """The mark in words: `Changed: prompt, with`."""
        return f"{self.word.capitalize()}{': ' if self.keys else ''}{', '.join(self.keys)}"

    @property
    def icon(self) -> str:
        return _LOOKS[self.word][0]

    @property
    def tone(self) -> str:
        return _LOOKS[self.word][1]


@dataclass(frozen=True)
class Compared:
    """Both versions in one graph, and the marks by step id, in the order of the picture."""

    graph: Graph
    marks: Mapping[str, Mark]


def compare(old: Mapping[str, Json], new: Mapping[str, Json]) -> Compared:
    """Compare two workflow documents."""
    before, after = read(old), read(new)
    held = [_places(graph.nodes) for graph in (before, after)]
    own = [documents(body) for body in (old, new)]
    merging = _Merging({id_: node for id_, (_, node) in held[0].items()}, held[0].keys() - held[1].keys())
    merged = Graph(merging.merge(before.nodes, after.nodes))
    marks = {}
    for node in walk(merged.nodes):
        mark = _mark(node.id, held, own)
        if mark:
            marks[node.id] = mark
    return Compared(merged, marks)


def ids(found: Compared) -> list[str]:
    """Name every step of either version."""
    return [node.id for node in walk(found.graph.nodes)]


def dress(mark: Mark, *, href: str = "", jump: str = "") -> Dress:
    """Show a step with what became of it."""
    return Dress(
        href=href,
        jump=jump,
        line=mark.told,
        tone=mark.tone,
        icon=mark.icon,
        word=mark.word,
        gone=mark.word == "removed",
    )


def _places(nodes: Sequence[Node], within: str = "") -> dict[str, tuple[str, Node]]:
    """Each step with the frame that it stands in."""
    found: dict[str, tuple[str, Node]] = {}
    for node in nodes:
        found[node.id] = (within, node)
        for number, group in enumerate(node.groups):
            found |= _places(group.nodes, f"{node.id}#{number}")
    return found


def _mark(
    id_: str, held: Sequence[Mapping[str, tuple[str, Node]]], own: Sequence[Mapping[str, Json]]
) -> Mark | None:
    before, after = held
    if id_ not in after:
        return Mark(id=id_, word="removed")
    if id_ not in before:
        return Mark(id=id_, word="added")
    old, new = (each.get(id_, {}) for each in own)
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key) or (key in old) != (key in new)]
    if before[id_][1].needs != after[id_][1].needs and "needs" not in keys:
        keys.append("needs")
    if before[id_][0] != after[id_][0]:
        return Mark(id=id_, word="moved", keys=tuple(keys))
    return Mark(id=id_, word="changed", keys=tuple(keys)) if keys else None


@dataclass(frozen=True)
class _Merging:
    """All steps of the earlier version, and the ids of those that the later one has no more."""

    earlier: Mapping[str, Node]
    gone: Collection[str]

    def merge(self, old: Sequence[Node], new: Sequence[Node]) -> tuple[Node, ...]:
        """The later steps of one frame, with the removed ones after those that they stood after."""
        merged = [self._with_groups(node) for node in new]
        for number, node in enumerate(old):
            if node.id not in self.gone:
                continue
            before = {each.id for each in old[:number]}
            place = max((at + 1 for at, each in enumerate(merged) if each.id in before), default=0)
            merged.insert(place, replace(node, groups=tuple(self._left(node.groups))))
        return tuple(self._connected(merged))

    def _with_groups(self, node: Node) -> Node:
        """A later step, with what was removed from its frames, wherever it stood before."""
        old = self.earlier.get(node.id)
        groups: list[Group] = []
        for before, after in zip_longest(old.groups if old else (), node.groups):
            if after is None:
                groups += self._left([before])
            else:
                inner = self.merge(before.nodes if before else (), after.nodes)
                groups.append(replace(after, nodes=inner))
        return replace(node, groups=tuple(groups))

    def _left(self, groups: Sequence[Group]) -> Iterator[Group]:
        """What is left of frames that are no more: the steps that were removed with them."""
        for group in groups:
            nodes = self.merge(group.nodes, ())
            if nodes:
                yield replace(group, nodes=nodes)

    def _connected(self, nodes: Sequence[Node]) -> Iterator[Node]:
        """The steps with the removed ones among their needs again, where that makes no circle."""
        ids = {node.id for node in nodes}
        needs = {node.id: [need for need in node.needs if need in ids] for node in nodes}
        for node in nodes:
            old = self.earlier.get(node.id)
            for need in old.needs if old and node.id not in self.gone else ():
                if need in self.gone and need in ids and not _reaches(need, node.id, needs):
                    needs[node.id].append(need)
        for node in nodes:
            yield replace(node, needs=tuple(needs[node.id]))


def _reaches(start: str, wanted: str, needs: Mapping[str, Sequence[str]]) -> bool:
    """Whether a step needs another one, at whatever remove."""
    seen, todo = set(), [start]
    while todo:
        at = todo.pop()
        if at == wanted:
            return True
        if at not in seen:
            seen.add(at)
            todo.extend(needs.get(at, ()))
    return False
