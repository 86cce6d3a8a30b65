"""The rows of a run's timeline: step runs put in tree order, map items grouped, quiet groups folded. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from console import formats
from workflows.queries.run_page import AttemptView, StepView

_GROUP_FROM = 5  # items of a map or steps of one kind, from which on they are folded unless one failed
_BAD = frozenset({"failed", "unknown"})
_STARTLESS = frozenset({"pending", "ready"})


class Bar(NamedTuple):
    """One attempt on the rail, in seconds since the run began."""

    number: int
    state: str
    start: float
    end: float


class Answer(NamedTuple):
    """When a person settled a step, and what is said of it."""

    at: datetime
    told: str


class Row(NamedTuple):
    """One line of the timeline. Rows without a path are groups that the page makes."""

    key: str
    parent: str
    depth: int
    path: str
    name: str
    note: str
    kind: str
    state: str
    start: float | None
    end: float | None
    bars: tuple[Bar, ...] = ()
    failures: int = 0
    losses: int = 0
    has_children: bool = False
    expanded: bool = True
    hidden: bool = False
    answered: float | None = None  # when a person settled it
    answer: str = ""


@dataclass
class _Builder:
    """Walks the tree once; `now` ends what still runs."""

    begun: datetime
    now: datetime
    notes: Mapping[int, str]
    answers: Mapping[str, Answer]
    open_keys: frozenset[str]
    children: Mapping[int | None, Sequence[StepView]]
    rows: list[Row] = field(default_factory=list)

    def second(self, moment: datetime | None) -> float | None:
        return (moment - self.begun).total_seconds() if moment else None

    def walk(self, parent: StepView | None, *, key: str, depth: int, hidden: bool) -> None:
        """Add the rows below a step; a map's go item by item."""
        steps = self.children.get(parent.id if parent else None, ())
        if parent is None or parent.kind != "map":
            self.walk_list(steps, key=key, depth=depth, hidden=hidden)
            return
        items: dict[int, list[StepView]] = defaultdict(list)
        for step in steps:
            items[step.item or 0].append(step)
        loud = {number: True for number, inner in items.items() if any(s.state in _BAD for s in inner)}
        quiet = [number for number in items if number not in loud]
        if loud and len(quiet) >= _GROUP_FROM:
            for number in loud:
                self.add_item(number, items[number], parent=key, depth=depth, hidden=hidden)
            rest = [step for number in quiet for step in items[number]]
            label = formats.plural(len(quiet), "other item")
            opened = f"{key}-rest" in self.open_keys
            group = self.add_group(
                f"{key}-rest", label, rest, parent=key, depth=depth, hidden=hidden, expanded=opened
            )
            for number in quiet:
                self.add_item(
                    number, items[number], parent=group, depth=depth + 1, hidden=hidden or not opened
                )
            return
        for number, inner in items.items():
            self.add_item(number, inner, parent=key, depth=depth, hidden=hidden)

    def walk_list(self, steps: Sequence[StepView], *, key: str, depth: int, hidden: bool) -> None:
        """Add steps in order; several of one name, as a loop makes them, below a row of their own."""
        names = Counter(step.step_id for step in steps) if len(steps) >= _GROUP_FROM else {}
        grouped: set[str] = set()
        for step in steps:
            if names.get(step.step_id, 0) < _GROUP_FROM:
                self.add(step, parent=key, depth=depth, hidden=hidden, label=step.step_id)
            elif step.step_id not in grouped:
                grouped.add(step.step_id)
                equal = [each for each in steps if each.step_id == step.step_id]
                self.add_equal(step.step_id, equal, parent=key, depth=depth, hidden=hidden)

    def add_equal(
        self, name: str, steps: Sequence[StepView], *, parent: str, depth: int, hidden: bool
    ) -> None:
        """Add equal steps below one row, folded unless one of them failed."""
        key = f"{parent}-{name}"
        folded = key not in self.open_keys and not any(step.state in _BAD for step in steps)
        self.add_group(
            key,
            name,
            steps,
            note=_map_note(steps),
            parent=parent,
            depth=depth,
            hidden=hidden,
            expanded=not folded,
        )
        for step in steps:
            last = step.path.rsplit("/", 1)[-1]
            self.add(step, parent=key, depth=depth + 1, hidden=hidden or folded, label=last)

    def add_item(self, number: int, steps: list[StepView], *, parent: str, depth: int, hidden: bool) -> None:
        """Add one item of a map: its only step by itself, several below a row of their own."""
        if len(steps) == 1:
            self.add(
                steps[0], parent=parent, depth=depth, hidden=hidden, label=f"{steps[0].step_id} · {number}"
            )
            return
        key = self.add_group(
            f"{parent}-{number}",
            f"item {number}",
            steps,
            parent=parent,
            depth=depth,
            hidden=hidden,
            expanded=True,
        )
        for step in steps:
            self.add(step, parent=key, depth=depth + 1, hidden=hidden, label=step.step_id)

    def add_group(
        self,
        key: str,
        name: str,
        steps: Sequence[StepView],
        *,
        parent: str,
        depth: int,
        hidden: bool,
        note: str = "",
        expanded: bool = False,
    ) -> str:
        """Add a row that stands for several steps."""
        starts = [moment for step in steps if (moment := self.second(step.started_at)) is not None]
        self.rows.append(
            Row(
                key=key,
                parent=parent,
                depth=depth,
                path="",
                name=name,
                note=note,
                kind="item",
                state=group_state([step.state for step in steps]),
                start=min(starts, default=None),
                end=max((self.end(step) or 0 for step in steps), default=None) if starts else None,
                has_children=True,
                expanded=expanded,
                hidden=hidden,
            )
        )
        return key

    def add(self, step: StepView, *, parent: str, depth: int, hidden: bool, label: str) -> None:
        """Add one step run and all below it."""
        below = self.children.get(step.id, ())
        container = bool(below) or step.kind == "map"
        key = f"s{step.id}"
        answer = self.answers.get(step.path)
        expanded = key in self.open_keys or not (step.kind == "map" and _folds(below))
        self.rows.append(
            Row(
                key=key,
                parent=parent,
                depth=depth,
                path=step.path,
                name=label,
                note=_map_note(below) if step.kind == "map" else self.notes.get(step.id, ""),
                kind=step.kind,
                state=step.shown_state,
                start=self.second(step.started_at),
                end=self.end(step),
                bars=() if container else tuple(self.bar(attempt) for attempt in step.attempts),
                failures=step.failures,
                losses=step.losses,
                has_children=bool(below),
                expanded=expanded,
                hidden=hidden,
                answered=self.second(answer.at) if answer else None,
                answer=answer.told if answer else "",
            )
        )
        self.walk(step, key=key, depth=depth + 1, hidden=hidden or not expanded)

    def bar(self, attempt: AttemptView) -> Bar:
        start = self.second(attempt.started_at) or 0.0
        return Bar(attempt.number, attempt.state, start, self.second(attempt.ended_at or self.now) or start)

    def end(self, step: StepView) -> float | None:
        """Return when a step ended; one that waits reaches as far as its last attempt."""
        if step.started_at is None:
            return None
        waits = step.state in {"waiting", "unknown"} and step.reason != "children" and bool(step.attempts)
        last = step.attempts[-1].ended_at if waits else None
        return self.second(step.ended_at or last or self.now)


def _folds(steps: Sequence[StepView]) -> bool:
    items = {step.item for step in steps}
    return len(items) >= _GROUP_FROM and not any(step.state in _BAD for step in steps)


def _map_note(steps: Sequence[StepView]) -> str:
    """Say how many items a map has, how many failed, and how long the slow ones take."""
    items = {step.id if step.item is None else step.item for step in steps}
    failed = len({step.id if step.item is None else step.item for step in steps if step.state in _BAD})
    lasted = sorted((s.ended_at - s.started_at).total_seconds() for s in steps if s.started_at and s.ended_at)
    parts = [f"×{len(items):,}"]
    if failed:
        parts.append(f"{failed:,} failed")
    if lasted:
        parts.append(f"p95 {formats.duration(lasted[int(len(lasted) * 0.95)])}")
    return ", ".join(parts)


def group_state(found: Sequence[str]) -> str:
    """Return the state that stands for several: the one that most needs to be seen."""
    for state in ("failed", "unknown", "running", "waiting", "ready"):
        if state in found:
            return state
    if "succeeded" in found:
        return "pending" if "pending" in found else "succeeded"
    return found[0] if found else "pending"


def build(
    steps: Sequence[StepView],
    *,
    begun: datetime,
    now: datetime,
    notes: Mapping[int, str],
    answers: Mapping[str, Answer] | None = None,
    open_keys: frozenset[str] = frozenset(),
) -> tuple[Row, ...]:
    """Return the rows in the order of the page.

    `answers`: by path, what a person settled. `open_keys`: rows that are not to be folded.
    """
    children: dict[int | None, list[StepView]] = defaultdict(list)
    for step in sorted(steps, key=lambda s: (s.item if s.item is not None else -1, s.ordinal, s.id)):
        children[step.parent_id].append(step)
    builder = _Builder(begun, now, notes, answers or {}, open_keys, children)
    builder.walk(None, key="", depth=0, hidden=False)
    return tuple(builder.rows)


def reveal(rows: Sequence[Row], path: str, open_keys: frozenset[str] = frozenset()) -> tuple[Row, ...]:
    """Unfold what hides the step with this path, so that a deep link always shows it.

    Only the way to it: of what comes to light beside it, groups stay folded unless they are in `open_keys`.
    """
    chosen = next((row for row in rows if row.path == path), None)
    if chosen is None or not chosen.hidden:
        return tuple(rows)
    opened = _ancestors(chosen, {row.key: row.parent for row in rows}) | open_keys
    shows_below: dict[str, bool] = {"": True}
    found = []
    for row in rows:
        shown = shows_below[row.parent]
        expanded = row.key in opened or (row.expanded and not (row.hidden and shown and row.has_children))
        shows_below[row.key] = shown and expanded
        if row.hidden == shown or row.expanded != expanded:
            row = row._replace(hidden=not shown, expanded=expanded)
        found.append(row)
    return tuple(found)


def _ancestors(row: Row, parents: Mapping[str, str]) -> frozenset[str]:
    found, key = set(), row.parent
    while key:
        found.add(key)
        key = parents[key]
    return frozenset(found)


def busy(steps: Sequence[StepView], *, begun: datetime, now: datetime) -> list[tuple[float, float]]:
    """Return when attempts ran, in seconds since the run began."""
    return [
        ((a.started_at - begun).total_seconds(), ((a.ended_at or now) - begun).total_seconds())
        for step in steps
        for a in step.attempts
    ]
