"""Where the boxes and lines of a workflow's graph stand: layers from top to bottom, frames within frames. Pure.

The method is Sugiyama's: ranks by longest path, places in a rank by the mean of the neighbours' places, then
coordinates as near to the neighbours as the widths allow. A step that holds others is laid out first and takes
part as one large box: nothing inside a frame ever needs anything outside of it. Lines bend only between ranks, and
pass ranks in lanes of their own, so that none crosses a box. All in whole pixels; the same graph gives the same
picture. May not know colours, links or states.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise, repeat
from typing import Final

from console.drawing.graph_model import Graph, Group, Node

WIDTH: Final = 216
HEIGHT: Final = 64
GAP_X: Final = 24
GAP_Y: Final = 36
LANE: Final = 16  # the width that a passing line takes
PAD: Final = 14  # within a frame
LABEL: Final = 24  # the height of a frame's label
MARGIN: Final = 4  # around the picture, for the focus ring
_SWEEPS: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """One step, or (`frame`) the border around what a step or a case holds. `depth` counts frames around it."""

    id: str
    x: int
    y: int
    width: int
    height: int
    depth: int
    frame: bool = False
    label: str = ""
    node: Node | None = None

    def moved(self, x: int, y: int, deeper: int) -> Box:
        """Return it elsewhere."""
        return Box(
            id=self.id,
            x=self.x + x,
            y=self.y + y,
            width=self.width,
            height=self.height,
            depth=self.depth + deeper,
            frame=self.frame,
            label=self.label,
            node=self.node,
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A line from one step down to another; `points` are where it passes the ranks on its way."""

    source: str
    target: str
    points: tuple[tuple[int, int], ...]

    def moved(self, x: int, y: int) -> Line:
        """Return it elsewhere."""
        return Line(self.source, self.target, tuple((px + x, py + y) for px, py in self.points))


@dataclass
class Picture:
    """All boxes and lines, and how much room they take."""

    width: int = 0
    height: int = 0
    boxes: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def put(self, inner: Picture, x: int, y: int, *, deeper: int = 0) -> None:
        """Take over another picture, moved."""
        self.boxes += [box.moved(x, y, deeper) for box in inner.boxes]
        self.lines += [line.moved(x, y) for line in inner.lines]


# Within one scope: steps are numbered as they stand in the document, lanes of passing lines follow them.
_Ranks = list[list[int]]


@dataclass
class _Plan:
    """A scope while it is laid out: what stands in each rank, and what above and below each place."""

    ranks: _Ranks
    up: list[list[int]]
    down: list[list[int]]
    lanes: dict[tuple[int, int], list[int]]  # of each line, by its ends
    widths: list[int]


def arrange(graph: Graph) -> Picture:
    """Lay a graph out."""
    inner = _scope(graph.nodes)
    whole = Picture(inner.width + 2 * MARGIN, inner.height + 2 * MARGIN)
    whole.put(inner, MARGIN, MARGIN)
    return whole


def _scope(nodes: Sequence[Node]) -> Picture:
    """Steps beside each other, with all that they hold."""
    if not nodes:
        return Picture()
    parts = [_step(node) for node in nodes]
    plan = _in_ranks(nodes, [part.width for part in parts])
    _order(plan)
    return _placed(nodes, parts, plan, _middles(plan))


def _step(node: Node) -> Picture:
    """One step as a picture of its own: a box, or a frame with the box at its head."""
    if not node.groups:
        made = Box(id=node.id, x=0, y=0, width=WIDTH, height=HEIGHT, depth=0, node=node)
        return Picture(WIDTH, HEIGHT, [made])
    held = [_group(node.id, number, group) for number, group in enumerate(node.groups)]
    across = sum(each.width for each in held) + GAP_X * (len(held) - 1)
    width = max(WIDTH, across) + 2 * PAD
    height = PAD + HEIGHT + GAP_Y + max(each.height for each in held) + PAD
    picture = Picture(width, height)
    picture.boxes.append(
        Box(id=node.id, x=0, y=0, width=width, height=height, depth=0, frame=True, label=node.id)
    )
    head_x, bottom = (width - WIDTH) // 2, PAD + HEIGHT
    picture.boxes.append(Box(id=node.id, x=head_x, y=PAD, width=WIDTH, height=HEIGHT, depth=1, node=node))
    x, y = (width - across) // 2, bottom + GAP_Y
    for number, each in enumerate(held):
        picture.put(each, x, y, deeper=1)
        down = ((width // 2, bottom), (x + each.width // 2, y))
        picture.lines.append(Line(node.id, f"{node.id}#{number}", down))
        x += each.width + GAP_X
    return picture


def _group(owner: str, number: int, group: Group) -> Picture:
    inner = _scope(group.nodes)
    width, height = inner.width + 2 * PAD, LABEL + inner.height + PAD
    picture = Picture(width, height)
    name = f"{owner}#{number}"
    picture.boxes.append(
        Box(id=name, x=0, y=0, width=width, height=height, depth=0, frame=True, label=group.label)
    )
    picture.put(inner, PAD, LABEL, deeper=1)
    return picture


def _rank(needs: Sequence[Sequence[int]]) -> list[int]:
    """The longest way from a step that needs nothing; a circle (no checked document has any) is cut somewhere."""
    users: list[list[int]] = [[] for _ in needs]
    for user, needed in enumerate(needs):
        for need in needed:
            users[need].append(user)
    missing = [len(needed) for needed in needs]
    rank, done = [0] * len(needs), [False] * len(needs)
    queue = deque(at for at, count in enumerate(missing) if not count)
    left = iter(range(len(needs)))
    for _ in needs:
        at = queue.popleft() if queue else next(at for at in left if not done[at])
        done[at] = True
        for user in users[at]:
            missing[user] -= 1
            if not done[user]:
                rank[user] = max(rank[user], rank[at] + 1)
                if not missing[user]:
                    queue.append(user)
    return rank


def _in_ranks(nodes: Sequence[Node], widths: list[int]) -> _Plan:
    """The steps by rank, lanes for long lines among them, and what stands above and below each."""
    number = {node.id: at for at, node in enumerate(nodes)}
    needs = [[number[need] for need in dict.fromkeys(node.needs)] for node in nodes]
    rank = _rank(needs)
    plan = _Plan([[] for _ in range(max(rank) + 1)], [[] for _ in nodes], [[] for _ in nodes], {}, widths)
    for at, place in enumerate(rank):
        plan.ranks[place].append(at)
    for target, needed in enumerate(needs):
        for source in needed:
            if rank[source] < rank[target]:
                _connect(plan, source, target, range(rank[source] + 1, rank[target]))
    return plan


def _connect(plan: _Plan, source: int, target: int, between: range) -> None:
    """Lead a line from one step to another, with a lane in every rank between them."""
    lanes = plan.lanes.setdefault((source, target), [])
    before = source
    for place in between:
        lane = len(plan.widths)
        lanes.append(lane)
        plan.widths.append(LANE)
        plan.ranks[place].append(lane)
        plan.up.append([before])
        plan.down.append([])
        plan.down[before].append(lane)
        before = lane
    plan.down[before].append(target)
    plan.up[target].append(before)


def _order(plan: _Plan) -> None:
    """Bring neighbours near each other, rank by rank, down and up again."""
    place = [0] * len(plan.widths)
    for rank in plan.ranks:
        for at, key in enumerate(rank):
            place[key] = at
    for sweep in range(_SWEEPS):
        near = plan.down if sweep % 2 else plan.up
        for rank in reversed(plan.ranks) if sweep % 2 else plan.ranks:
            if len(rank) == 1:
                continue
            wanted = {
                key: sum([place[n] for n in near[key]]) / len(near[key]) if near[key] else place[key]
                for key in rank
            }
            rank.sort(key=wanted.__getitem__)
            for at, key in enumerate(rank):
                place[key] = at


def _middles(plan: _Plan) -> list[float]:
    """The middle of each box: as near to its neighbours as its rank allows."""
    middle = [0.0] * len(plan.widths)
    offsets = [_offsets(rank, plan.widths) for rank in plan.ranks]
    for rank, apart in zip(plan.ranks, offsets, strict=True):
        _fit(rank, [0.0] * len(rank), apart, middle)
    together = list(zip(plan.ranks, offsets, strict=True))
    for sweep in range(_SWEEPS + 1):
        near = plan.down if sweep % 2 else plan.up
        for rank, apart in reversed(together) if sweep % 2 else together:
            want = [
                sum([middle[n] for n in near[key]]) / len(near[key]) if near[key] else middle[key]
                for key in rank
            ]
            _fit(rank, want, apart, middle)
    return middle


def _offsets(rank: Sequence[int], widths: Sequence[int]) -> list[float]:
    """How far the middles of a rank are from its first one where its boxes stand as close as they may."""
    offsets, at = [0.0], 0.0
    for left, right in pairwise(rank):
        at += (widths[left] + widths[right]) / 2 + GAP_X
        offsets.append(at)
    return offsets


def _fit(rank: Sequence[int], want: Sequence[float], offsets: Sequence[float], middle: list[float]) -> None:
    """Put a rank where the sum of squared distances from what is wanted is least: pool adjacent violators."""
    if len(rank) == 1:
        middle[rank[0]] = want[0]
        return
    blocks: list[tuple[float, int]] = []  # the sum of what is wanted, and of how many
    for wanted, offset in zip(want, offsets, strict=True):
        total, count = wanted - offset, 1
        while blocks and blocks[-1][0] * count > total * blocks[-1][1]:
            above, more = blocks.pop()
            total, count = total + above, count + more
        blocks.append((total, count))
    shifts = chain.from_iterable(repeat(total / count, count) for total, count in blocks)
    for key, shift, offset in zip(rank, shifts, offsets, strict=True):
        middle[key] = shift + offset


def _placed(nodes: Sequence[Node], parts: Sequence[Picture], plan: _Plan, middle: Sequence[float]) -> Picture:
    """The picture of a scope, in whole pixels, from its left edge and its top."""
    left = min(at - width / 2 for at, width in zip(middle, plan.widths, strict=True))
    start = [round(at - left - width / 2) for at, width in zip(middle, plan.widths, strict=True)]
    centre = [x + width // 2 for x, width in zip(start, plan.widths, strict=True)]
    picture = Picture(width=max(x + width for x, width in zip(start, plan.widths, strict=True)))
    top, floor, y = [0] * len(start), [0] * len(start), 0
    for rank in plan.ranks:
        height = max(parts[key].height for key in rank if key < len(nodes))
        for key in rank:
            top[key], floor[key] = y, y + height
            if key < len(nodes):
                if not plan.up[key]:  # beside a tall frame it stands near what needs it
                    top[key] = floor[key] - parts[key].height
                picture.put(parts[key], start[key], top[key])
        y += height + GAP_Y
    picture.height = y - GAP_Y
    for (source, target), lanes in plan.lanes.items():
        points = [(centre[source], top[source] + parts[source].height), (centre[source], floor[source])]
        points += [(centre[lane], edge[lane]) for lane in lanes for edge in (top, floor)]
        ends = (*points, (centre[target], top[target]))
        picture.lines.append(Line(nodes[source].id, nodes[target].id, ends))
    return picture
