"""A workflow's graph as one SVG, each step a link. Geometry only in attributes; looks are the style sheet's.

Every piece of text is escaped here. May not decide where anything stands; `graph_layout` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from console import formats
from console.drawing import graph_layout, looks
from console.drawing.graph_layout import HEIGHT, WIDTH, Box, Line
from console.drawing.graph_model import Graph, Node, walk

_NAME_CHARS: Final = 24  # what fits beside the icon, in the fixed-width font
_NAME_CHARS_MARKED: Final = 20
_LINE_CHARS: Final = 33
_CHAR_PX: Final = 5.7  # of the labels of frames
_ARROW: Final = 5  # px
_MAX_TITLE: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class Dress:
    """How a step is shown: where it leads, its last line, and its mark (icon and word, for states and changes).

    `jump`: the place in an editor that it leads to instead, as `FIELD:LINE`.
    """

    href: str = ""
    jump: str = ""
    line: str = ""
    tone: str = ""
    icon: str = ""
    word: str = ""
    quiet: bool = False
    gone: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """One step of the graph in words."""

    node: Node
    within: str
    dress: Dress

    @property
    def does(self) -> str:
        """What the step is, and what it uses."""
        return f"{looks.kind_look(self.node.kind).word} {self.node.names}".strip()


_PLAIN: Final = Dress()


def draw(graph: Graph, dress: Mapping[str, Dress], *, label: str, selected: str = "") -> SafeString:
    """Draw a graph. `dress` by step id; a step without any is shown plain."""
    picture = graph_layout.arrange(graph)
    frames = [_frame(box) for box in picture.boxes if box.frame]
    lines = [_line(line) for line in picture.lines]
    arrows = {line.points[-1]: _arrow(line.points[-1]) for line in picture.lines}
    steps = [
        _step(box, box.node, dress.get(box.id, _PLAIN), selected=box.id == selected)
        for box in picture.boxes
        if box.node
    ]
    body = "".join([*frames, *lines, *arrows.values(), *steps])
    return mark_safe(  # noqa: S308 - numbers, and texts escaped where they are put in
        f'<svg class="graph" width="{picture.width}" height="{picture.height}" '
        f'viewBox="0 0 {picture.width} {picture.height}" role="group" aria-label="{escape(label)}">{body}</svg>'
    )


def words(graph: Graph, dress: Mapping[str, Dress]) -> list[Row]:
    """Say the same as the picture in rows: every step, what it needs, and what it stands in."""
    return list(_rows(graph.nodes, dress, ""))


def _rows(nodes: Sequence[Node], dress: Mapping[str, Dress], within: str) -> list[Row]:
    found: list[Row] = []
    for node in nodes:
        found.append(Row(node=node, within=within, dress=dress.get(node.id, _PLAIN)))
        for group in node.groups:
            found += _rows(group.nodes, dress, f"{node.id}: {group.label}")
    return found


def ids(graph: Graph) -> list[str]:
    """Name every step that is drawn."""
    return [node.id for node in walk(graph.nodes)]


def _frame(box: Box) -> str:
    shape = (
        f'<rect class="frame frame-{box.depth % 2}" x="{box.x}" y="{box.y}" '
        f'width="{box.width}" height="{box.height}" rx="10"/>'
    )
    if "#" not in box.id:
        return shape
    text = _text(_clip(box.label, int((box.width - 20) / _CHAR_PX)))
    return (
        f'<g>{shape}<text class="frame-label" x="{box.x + 12}" y="{box.y + 17}">{text}</text>'
        f"<title>{_text(box.label[:_MAX_TITLE])}</title></g>"
    )


def _line(line: Line) -> str:
    (x, y), *rest = line.points
    path = [f"M{x} {y}"]
    for (x0, y0), (x1, y1) in pairwise(((x, y), *rest[:-1], _before(rest[-1]))):
        if x0 == x1:
            path.append(f"V{y1}")
        else:
            half = (y0 + y1) // 2
            path.append(f"C{x0} {half} {x1} {half} {x1} {y1}")
    return f'<path class="edge" d="{"".join(path)}"/>'


def _before(end: tuple[int, int]) -> tuple[int, int]:
    return end[0], end[1] - _ARROW


def _arrow(end: tuple[int, int]) -> str:
    x, y = end
    return f'<path class="arrow" d="M{x} {y - 1}l-4 -6h8z"/>'


def _step(box: Box, node: Node, dress: Dress, *, selected: bool) -> str:
    x, y = box.x, box.y
    look = looks.kind_look(node.kind)
    told = escape(_told(node, dress))
    tag, target = _target(dress)
    shapes = [
        f'<rect class="step-box" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        _icon(look.icon, f"ink-{look.tone}", x + 11, y + 10),
        f'<text class="step-id" x="{x + 32}" y="{y + 21}">{_text(_clip(node.id, _name_room(dress)))}</text>',
        f'<text class="step-uses" x="{x + 12}" y="{y + 38}">{_text(_clip(_uses(node), _LINE_CHARS))}</text>',
        f'<text class="step-line" x="{x + 12}" y="{y + 54}">{_text(_clip(dress.line, _LINE_CHARS))}</text>',
    ]
    if dress.icon:
        shapes.append(_icon(dress.icon, "step-mark", x + WIDTH - 25, y + 10))
    current = ' aria-current="true"' if selected else ""
    return (
        f'<{tag} class="{_classes(dress)}"{target}{current} data-step="{escape(node.id)}" '
        f'aria-label="{told}"><title>{told}</title>{"".join(shapes)}</{tag}>'
    )


def _target(dress: Dress) -> tuple[str, str]:
    if dress.jump:
        field = dress.jump.partition(":")[0]
        return "a", f' href="#{escape(field)}" data-jump="{escape(dress.jump)}"'
    return ("a", f' href="{escape(dress.href)}"') if dress.href else ("g", ' role="img"')


def _classes(dress: Dress) -> str:
    names = ["step", f"tone-{dress.tone}" if dress.tone else ""]
    names += ["is-quiet" if dress.quiet else "", "is-gone" if dress.gone else ""]
    return " ".join(filter(None, names))


def _name_room(dress: Dress) -> int:
    return _NAME_CHARS_MARKED if dress.icon else _NAME_CHARS


def _uses(node: Node) -> str:
    if node.hidden:
        return f"{formats.plural(node.hidden, 'step')} inside, folded"
    if node.when:
        return f"{node.names} when {node.when}".strip()
    return node.names or looks.kind_look(node.kind).word


def _told(node: Node, dress: Dress) -> str:
    parts = [node.id, f"{looks.kind_look(node.kind).word} {node.names}".strip(), dress.word, dress.line]
    if node.when:
        parts.append(f"when {node.when}")
    if node.hidden:
        parts.append(f"{formats.plural(node.hidden, 'step')} inside, folded")
    if node.needs:
        parts.append(f"needs {', '.join(node.needs)}")
    return formats.printable(", ".join(part for part in parts if part)[:_MAX_TITLE])


def _icon(name: str, classes: str, x: int, y: int) -> str:
    drawn = looks.icon(name, classes)
    return drawn.replace("<svg ", f'<svg x="{x}" y="{y}" width="14" height="14" ', 1)


def _clip(text: str, room: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= room else flat[: max(room - 1, 1)] + "…"


def _text(text: str) -> str:
    return escape(formats.printable(text))
