"""Draw random workflows.

Hypothesis draws how large and from which seed; what is built is then as varied as chance makes it. Drawn choice by
choice, half of the workflows would have a single step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from hypothesis import strategies as st

from tests.definitions.parts import ALWAYS, BOUND, Kind, Step, Total, Workflow, seen_after

LEAVES: Final[tuple[Kind, ...]] = ("set", "set", "set", "divides", "shaky", "nap", "approval", "signal")
CONTAINERS: Final[tuple[Kind, ...]] = ("branch", "map", "loop") * 2
# The last step of a loop's body gives an object with `v`.
WITH_VALUE: Final[tuple[Kind, ...]] = ("set", "divides")


@dataclass(frozen=True)
class Around:
    """What the steps of a scope see from outside, and how deep containers may still nest."""

    names: tuple[str, ...]
    steps: tuple[str, ...]
    depth: int
    children: tuple[str, ...]


class _Drawer:
    """Draws one workflow; steps are numbered through."""

    def __init__(self, random: Random, widest: int) -> None:
        self.random, self.widest, self.count = random, widest, 0

    def scope(self, around: Around, *, last: Sequence[Kind] = ()) -> tuple[Step, ...]:
        """Draw steps that run together. `last`: the kinds that the last of them may have."""
        steps: list[Step] = []
        length = self.random.randint(1 if around.steps else 2, self.widest)
        for n in range(length):
            kinds = last if last and n == length - 1 else ()
            steps.append(self.step(around, steps, kinds))
        return tuple(steps)

    def step(self, around: Around, before: list[Step], kinds: Sequence[Kind]) -> Step:
        kind = self.random.choice(kinds or self.kinds(around))
        needs = self.needs(before)
        steps = (*around.steps, *_seen(before, needs))
        self.count += 1
        drawn = Step(
            id=f"s{self.count}",
            kind=kind,
            needs=needs,
            total=self.total(around.names, steps),
            when=self.random.choice([None, None, None, 2, 3]),
            absorbs=self.random.random() < 0.3,
            number=self.number(kind),
            child=self.random.choice(around.children) if kind == "child" else "",
        )
        inner = replace(around, steps=steps, depth=around.depth - 1)
        if kind == "branch":
            cases = self.random.randint(1, 3)
            return replace(drawn, scopes=tuple(self.scope(inner) for _ in range(cases)))
        if kind == "map":
            names = (*_unless(around.names, "index"), f"item_{drawn.id}", "index")
            return replace(
                drawn,
                items_absorb=self.random.random() < 0.5,
                scopes=(self.scope(replace(inner, names=names)),),
            )
        if kind == "loop":
            names = (*_unless(around.names, "turn", "previous"), "turn", "previous")
            return replace(drawn, scopes=(self.scope(replace(inner, names=names), last=WITH_VALUE),))
        return drawn

    def kinds(self, around: Around) -> list[Kind]:
        kinds = list(LEAVES)
        if around.depth > 0:
            kinds += CONTAINERS
        if around.children:
            kinds.append("child")
        return kinds

    def needs(self, before: list[Step]) -> tuple[str, ...]:
        if not before:
            return ()
        names = [step.id for step in before]
        chosen = names[-1:] if self.random.random() < 0.5 else self.some(names, most=3)
        return tuple(name for name in names if name in chosen)

    def total(self, names: Sequence[str], steps: Sequence[str]) -> Total:
        return Total(
            constant=self.random.randrange(BOUND),
            names=tuple(sorted(self.some(names, most=2))),
            steps=tuple(sorted(self.some(steps, most=3))),
        )

    def some(self, names: Sequence[str], *, most: int) -> list[str]:
        return self.random.sample(names, self.random.randint(0, min(most, len(names))))

    def number(self, kind: Kind) -> int:
        if kind == "shaky":
            return self.random.choice([0, 1, 2, 2, ALWAYS])
        if kind == "divides":
            return self.random.randint(2, 5)
        if kind == "branch":
            return self.random.randint(0, 1)
        if kind == "signal":
            return self.count  # what is sent: the number in the step's id
        return self.random.randint(1, 3)


def _unless(names: Sequence[str], *gone: str) -> tuple[str, ...]:
    return tuple(name for name in names if name not in gone)


def _seen(before: Sequence[Step], needs: Sequence[str]) -> list[str]:
    """Return what can be named by a step with these needs, theirs included."""
    by_id = {step.id: step for step in before}
    reached, left = set(needs), list(needs)
    while left:
        more = set(by_id[left.pop()].needs) - reached
        reached |= more
        left += more
    return [name for step in before if step.id in reached for name in seen_after(step)]


def workflow(seed: int, *, widest: int, depth: int) -> Workflow:
    """Build a workflow, with a child that it may run and steps at its end. The caller gives it a name of its own."""
    random = Random(seed)
    child = Workflow(name="child", steps=_Drawer(random, widest).scope(Around(("input.n",), (), 1, ())))
    children = (child,) if random.random() < 0.5 else ()
    drawer = _Drawer(random, widest)
    around = Around(("input.n",), (), depth, tuple(each.name for each in children))
    steps = drawer.scope(around)
    seen = tuple(name for step in steps for name in seen_after(step))
    at_end: tuple[Step, ...] = ()
    if random.random() < 0.3:
        at_end = drawer.scope(replace(around, steps=seen, depth=1))
    return Workflow(name="main", steps=steps, at_end=at_end, children=children)


def workflows(*, widest: int, depth: int) -> st.SearchStrategy[Workflow]:
    """Draw workflows: at most `widest` steps side by side, containers at most `depth` deep."""
    return st.builds(
        workflow,
        st.integers(0, 2**32),
        widest=st.integers(2, widest),
        depth=st.integers(1, depth),
    )
